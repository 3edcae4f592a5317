"""One row of a service: a path and all that is fixed about it."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from .values import Value

NUMBERS = ("number", "integer", "int", "double")
LISTS = ("list", "list_text", "list_int")
BY_THE_GX = ("/Mode", "/Position", "/Role")  # also in tables that do not say who writes (spec D.3)


class Row(NamedTuple):
    """A path of a service.

    ``kind`` is a word of the types file: text, number, integer, int, double, list, list_text,
    list_int. ``default`` is what the path holds at registration, and for a stored row the
    default of its setting. ``low`` and ``high`` are enforced for stored and channel rows only.
    ``channel`` is the path of the output or input that the row belongs to, with a final slash.
    """

    path: str
    kind: str
    default: Value = None
    text_format: str | None = None
    stored: bool = False
    low: float | None = None
    high: float | None = None
    writable: bool = True
    from_gx: bool = False
    channel: str = ""

    @property
    def field(self) -> str:
        """The row's name inside its channel, e.g. ``Settings/Type``."""
        return self.path[len(self.channel) :]

    @property
    def is_number(self) -> bool:
        """Whether the row holds a number."""
        return self.kind in NUMBERS

    @property
    def is_list(self) -> bool:
        """Whether the row holds a list."""
        return self.kind in LISTS

    @property
    def limits(self) -> tuple[float, float] | None:
        """The limits of the setting; None without any (spec V8)."""
        if self.low is None or self.high is None or self.low == self.high:
            return None
        return (self.low, self.high)


def from_table(entry: Mapping[str, Any]) -> Row:
    """Make a row from one entry of the types file; raises KeyError or ValueError for a bad one."""
    path, kind = entry["path"], entry["kind"]
    if not isinstance(path, str) or not path.startswith("/") or path.endswith("/"):
        raise ValueError(f"bad path {path!r}")
    if kind not in NUMBERS + LISTS + ("text",):
        raise ValueError(f"{path}: no kind {kind!r}")
    stored = bool(entry.get("stored"))
    author = entry.get("written_by")
    return Row(
        path=path,
        kind=kind,
        default=entry.get("default"),
        text_format=entry.get("text_format"),
        stored=stored,
        low=entry.get("min"),
        high=entry.get("max"),
        writable=author != "nobody",
        from_gx=stored or path.endswith(BY_THE_GX) if author is None else "GX" in author,
    )
