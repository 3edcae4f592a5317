"""Requests by MQTT: a verb and a JSON object, checked before anything is done (spec c.7).

Nothing from the network widens rights or costs more than its size: the depth is counted before
the parser sees a byte.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, NoReturn

from hardwired_engines.engine import Command, DeviceState, InvalidCommand, Snapshot
from hardwired_engines.fields import Field, Offer, Quantity, Value
from hardwired_engines.plain import plain

from .bridge_device import LEVELS
from .topics import slug
from .values import checked, read_wish

LARGEST = 65_536
DEEPEST = 8
LONGEST_WORD = 64
FAST_MINUTES, FAST_MOST = 10, 60
LOG_MINUTES, LOG_MOST = 60, 1440

_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "health": (),
    "refresh": ("link",),
    "restart": ("link",),
    "log_level": ("level", "module", "minutes"),
    "read": ("link", "device", "keys"),
    "write": ("link", "device", "values"),
    "command": ("link", "device", "name", "values", "options"),
    "fast": ("link", "minutes"),
    "republish": (),
    "remove": ("link", "device"),
    "notices": ("link",),
    "stop": (),
}
VERBS = tuple(_MEMBERS)
HARMLESS = frozenset({"health", "notices", "republish", "read"})
"""What a bridge that only tells still answers."""
_PLAIN = {"refresh": "link", "restart": "link", "log_level": "level"}
"""Verbs for which a plain text is enough, and what it stands for."""


class RequestRefused(Exception):
    """A request is refused; ``key`` is for programs, the text for people."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key
        self.transaction: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """What requests may know of a link."""

    family: str
    snapshot: Snapshot
    requests: frozenset[str] = frozenset()
    """The family's commands that may be asked for."""
    known: tuple[str, ...] = ()
    """Ids of devices that were seen and may have gone."""
    zone: tzinfo | None = None
    read_only: bool = False

    def device(self, link: str, name: str) -> str:
        """Return a device's id from its id or slug. Raises :class:`RequestRefused`."""
        ids = dict.fromkeys((*self.snapshot.devices, *self.known))
        if name in ids:
            return name
        for ident in ids:
            if slug(ident) == name:
                return ident
        has = f"it has {', '.join(ids)}" if ids else "it has none"
        raise RequestRefused("unknown_device", f"{link} has no device {_cut(name)!r}; {has}")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a request is held against."""

    links: Mapping[str, LinkView]
    read_only: bool = False
    allow_stop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that is in order.

    ``data`` is the answer where it is known already. ``link`` and ``device`` are names that
    exist; ``command`` is what an engine is asked to carry out.
    """

    verb: str
    transaction: str | int | None = None
    link: str | None = None
    device: str | None = None
    command: Command | None = None
    keys: tuple[str, ...] = ()
    level: str | None = None
    module: str | None = None
    minutes: int | None = None
    data: Mapping[str, Any] | None = None
    done: bool = False
    """Whether the answer is complete: there is nothing to do."""


def answer(transaction: str | int | None, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the answer to a request that was carried out."""
    found: dict[str, Any] = {"status": "ok"}
    if transaction is not None:
        found["transaction"] = transaction
    if data is not None:
        found["data"] = data
    return found


def refusal(transaction: str | int | None, key: str, text: str) -> dict[str, Any]:
    """Return the answer to a request that was not carried out."""
    found: dict[str, Any] = {"status": "error"}
    if transaction is not None:
        found["transaction"] = transaction
    return {**found, "error": {"key": key, "text": text}}


def read_request(verb: str, payload: bytes, world: World) -> Request:
    """Return what a request asks for. Raises :class:`RequestRefused`."""
    if verb not in _MEMBERS:
        raise RequestRefused(
            "unknown_verb", f"{_cut(verb)} is no request; there are {', '.join(VERBS)}"
        )
    told = _object(verb, payload)
    transaction = told.get("transaction")
    if not _is_transaction(transaction):
        _bad(f"transaction takes a text of at most {LONGEST_WORD} characters or a whole number")
    try:
        _check_members(verb, told)
        if world.read_only and verb not in HARMLESS:
            raise RequestRefused("read_only", "this bridge only tells; read_only is set")
        return _READERS[verb](_Asked(verb, told, world, transaction))
    except RequestRefused as error:
        error.transaction = transaction
        raise


def _check_members(verb: str, told: Mapping[str, Any]) -> None:
    takes = (*_MEMBERS[verb], "transaction")
    for name in told:
        if name not in takes:
            _bad(f"{_cut(name)} is not known; {verb} takes {', '.join(takes)}")


# ---------------------------------------------------------------------------- JSON, carefully


def _object(verb: str, payload: bytes) -> dict[str, Any]:
    if len(payload) > LARGEST:
        raise RequestRefused("too_large", f"takes at most {LARGEST} bytes")
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        _bad("takes UTF-8")
    if not text:
        return {}
    if verb in _PLAIN and text[0] not in "{[":
        return {_PLAIN[verb]: text}
    if _depth(text) > DEEPEST:
        _bad("is nested too deep")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError:
        _bad("takes a JSON object")
    if not isinstance(found, dict):
        _bad("takes a JSON object")
    return found


def _depth(text: str) -> int:
    """Return how deep the brackets go, those in texts left aside."""
    depth = deepest = 0
    quoted = escaped = False
    for sign in text:
        if quoted:
            if escaped:
                escaped = False
            elif sign == "\\":
                escaped = True
            elif sign == '"':
                quoted = False
        elif sign == '"':
            quoted = True
        elif sign in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in "]}":
            depth -= 1
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            _bad(f"{_cut(key)} stands twice")
        found[key] = value
    return found


def _no_number(word: str) -> NoReturn:
    _bad(f"{word} is no number")


def _is_transaction(value: object) -> bool:
    match value:
        case None:
            return True
        case bool():
            return False
        case int():
            return True
        case str():
            return len(value) <= LONGEST_WORD and value.isprintable()
        case _:
            return False


def _bad(text: str) -> NoReturn:
    raise RequestRefused("bad_request", text)


def _cut(text: str) -> str:
    """Return the beginning of a stranger's word, printable."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:LONGEST_WORD])


# ---------------------------------------------------------------------------- verb by verb


@dataclass(frozen=True, slots=True)
class _Asked:
    verb: str
    told: Mapping[str, Any]
    world: World
    transaction: str | int | None

    def request(self, **members: Any) -> Request:
        return Request(verb=self.verb, transaction=self.transaction, **members)

    def text(self, name: str) -> str:
        value = self.told.get(name)
        if value is None:
            _bad(f"{name} is missing")
        if not isinstance(value, str) or not value or not value.isprintable():
            _bad(f"{name} takes a text")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        value = self.told.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            _bad(f"{name} takes a whole number from {low} to {high}")
        return value

    def link(self) -> tuple[str, LinkView]:
        name = self.text("link")
        links = self.world.links
        if name not in links:
            raise RequestRefused(
                "unknown_link", f"there is no link {_cut(name)!r}; there are {', '.join(links)}"
            )
        view = links[name]
        if view.read_only and self.verb not in HARMLESS:
            raise RequestRefused("read_only", f"{name} only tells; read_only is set")
        return name, view

    def device(self) -> tuple[str, LinkView, str]:
        link, view = self.link()
        return link, view, view.device(link, self.text("device"))

    def state(self) -> tuple[str, LinkView, DeviceState]:
        link, view, ident = self.device()
        state = view.snapshot.devices.get(ident)
        if state is None:
            raise RequestRefused("not_connected", f"{ident} is not there")
        return link, view, state


def _simple(asked: _Asked) -> Request:
    return asked.request()


def _notices(asked: _Asked) -> Request:
    return asked.request(link=asked.link()[0] if "link" in asked.told else None)


def _of_link(asked: _Asked) -> Request:
    link, view = asked.link()
    if asked.verb == "refresh" and "refresh" in view.requests:
        return asked.request(link=link, command=Command("", name="refresh"))
    return asked.request(link=link)


def _log_level(asked: _Asked) -> Request:
    level = asked.text("level")
    if level not in LEVELS:
        _bad(f"level takes one of {', '.join(LEVELS)}")
    module = None if asked.told.get("module") is None else asked.text("module")
    minutes = asked.whole("minutes", LOG_MINUTES, 1, LOG_MOST)
    data = {"level": level, "module": module, "minutes": minutes}
    return asked.request(level=level, module=module, minutes=minutes, data=data)


def _fast(asked: _Asked) -> Request:
    link, view = asked.link()
    minutes = asked.whole("minutes", FAST_MINUTES, 0, FAST_MOST)
    if "fast" not in view.requests:
        raise RequestRefused("not_supported", f"{link} tells everything as it comes")
    command = Command("", name="fast", options={"minutes": minutes})
    return asked.request(link=link, minutes=minutes, command=command, data={"minutes": minutes})


def _read(asked: _Asked) -> Request:
    link, _view, state = asked.state()
    keys = asked.told.get("keys")
    if keys is None:
        keys = [
            key
            for key in state.values
            if (field := state.fields.get(key)) is None or field.offer is not Offer.NEVER
        ]
    elif not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        _bad("keys takes a list of texts")
    unknown = []
    values: dict[str, Any] = {}
    for key in keys:
        field = state.fields.get(key)
        if field is None and key not in state.values:
            raise RequestRefused("unknown_key", f"{state.device.id} has no {_cut(key)!r}")
        if field is not None and (not field.readable or field.quantity is Quantity.SIGNAL):
            raise RequestRefused("not_readable", f"{key} can't be read")
        if key not in state.values:
            unknown.append(key)
        values[key] = plain(state.values.get(key))
    return asked.request(
        link=link,
        device=state.device.id,
        keys=tuple(unknown),
        data={"values": values},
        done=not unknown,
    )


def _write(asked: _Asked) -> Request:
    link, view, state = asked.state()
    told = asked.told.get("values")
    if not isinstance(told, dict) or not told:
        _bad("values takes a filled object")
    values = {key: _wish(state, key, value, view.zone) for key, value in told.items()}
    _connected(link, view)
    device = state.device.id
    return asked.request(link=link, device=device, command=Command(device, values))


def _wish(state: DeviceState, key: str, value: object, zone: tzinfo | None) -> Value:
    field = state.fields.get(key)
    if field is None:
        raise RequestRefused("unknown_key", f"{state.device.id} has no {_cut(key)!r}")
    if value is None or isinstance(value, (list, dict)):
        raise RequestRefused("invalid_command", f"{key} takes a value")
    try:
        return _checked(field, value, zone)
    except InvalidCommand as error:
        raise RequestRefused(error.key, str(error)) from None


def _checked(field: Field, value: object, zone: tzinfo | None) -> Value:
    match value:
        case bool() if field.binary or field.quantity is Quantity.SIGNAL:
            return checked(field, value)
        case int() | float() if field.numeric and not isinstance(value, bool):
            return checked(field, _float(field, value))
        case bool():
            return read_wish(field, b"true" if value else b"false", zone)
        case _:
            # JSON can name half a character, which no text holds.
            return read_wish(field, str(value).encode(errors="surrogatepass"), zone)


def _float(field: Field, value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise InvalidCommand(f"{field.key} takes a number") from None


def _command(asked: _Asked) -> Request:
    link, view, device = asked.device()
    name = asked.text("name")
    if name not in view.requests:
        raise RequestRefused(
            "forbidden", f"{view.family} has no command {_cut(name)!r} for requests"
        )
    values, options = (_plain_values(asked, member) for member in ("values", "options"))
    _connected(link, view)
    command = Command(device, values, name=name, options=options)
    return asked.request(link=link, device=device, command=command)


def _plain_values(asked: _Asked, name: str) -> Mapping[str, Value]:
    told = asked.told.get(name, {})
    if not isinstance(told, dict):
        _bad(f"{name} takes an object")
    for key, value in told.items():
        if not (_is_plain(key) and isinstance(value, (bool, int, float, str)) and _is_plain(value)):
            _bad(f"{_cut(key)} takes a value")
    return told


def _is_plain(value: bool | float | str) -> bool:
    """Whether a value can go on: no half characters, no number without end."""
    match value:
        case str():
            return not any("\ud800" <= sign <= "\udfff" for sign in value)
        case float():
            return math.isfinite(value)
        case _:
            return abs(value) < 2**63


def _connected(link: str, view: LinkView) -> None:
    if not view.snapshot.connected:
        raise RequestRefused("not_connected", f"{link} is not connected")


def _remove(asked: _Asked) -> Request:
    link, view, device = asked.device()
    if view.snapshot.connected and device in view.snapshot.devices:
        raise RequestRefused("busy", f"{device} is there now; it would come back")
    return asked.request(link=link, device=device)


def _stop(asked: _Asked) -> Request:
    if not asked.world.allow_stop:
        raise RequestRefused("forbidden", "stop is not allowed; allow_stop is not set")
    return asked.request()


_READERS: Mapping[str, Callable[[_Asked], Request]] = {
    "health": _simple,
    "refresh": _of_link,
    "restart": _of_link,
    "log_level": _log_level,
    "read": _read,
    "write": _write,
    "command": _command,
    "fast": _fast,
    "republish": _simple,
    "remove": _remove,
    "notices": _notices,
    "stop": _stop,
}
