"""The little of ``dataclasses`` that dbus-fast needs, for images of Venus OS without the module."""

__all__ = ["dataclass"]


def dataclass(cls):
    """Give a class ``__init__``, ``__repr__`` and ``__eq__`` from its annotations."""
    names = tuple(cls.__dict__.get("__annotations__", {}))

    def __init__(self, *values, **named):
        if len(values) > len(names):
            raise TypeError("too many values")
        given = dict(zip(names, values))
        for name in named:
            if name not in names or name in given:
                raise TypeError(f"unexpected value {name}")
        given.update(named)
        for name in names:
            if name not in given and not hasattr(cls, name):
                raise TypeError(f"no value for {name}")
            setattr(self, name, given.get(name, getattr(cls, name, None)))

    def values_of(self):
        return tuple(getattr(self, name) for name in names)

    def __repr__(self):
        inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{cls.__name__}({inner})"

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return values_of(self) == values_of(other)

    cls.__init__ = __init__
    cls.__repr__ = __repr__
    cls.__eq__ = __eq__
    cls.__hash__ = None
    return cls
