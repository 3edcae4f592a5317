"""Whether the GX's screen draws an output or input, and what it writes on it (spec D.3.2)."""

from __future__ import annotations

from typing import Callable, Mapping, NamedTuple

from .values import Value

_HIGHEST = {True: 13, False: 3}  # control types of outputs, of inputs


class Shown(NamedTuple):
    """How a control is drawn: ``card`` None is the card of the device."""

    card: str | None
    caption: str


class Hidden(NamedTuple):
    """Why a control is not drawn."""

    reason: str


def judge(
    rows: Mapping[str, Value], service: Mapping[str, Value], output: bool, on_gx: bool = True
) -> Shown | Hidden:
    """Judge one output or input.

    ``rows`` are its rows by their name below it, ``service`` has ``CustomName``, ``ProductName``
    and ``DeviceInstance``; ``on_gx`` is False for VRM.
    """
    get = rows.get
    if not get("Name"):
        return Hidden("no name")
    kind, mask = get("Settings/Type"), get("Settings/ValidTypes")
    if not isinstance(kind, int) or not 0 <= kind <= _HIGHEST[output]:
        return Hidden("no control type")
    if not isinstance(mask, int) or not mask >> kind & 1:
        return Hidden("the control type is not among the valid ones")
    show = get("Settings/ShowUIControl" if output else "Settings/ShowUIInput")
    if show is not None and not _is_shown(show, on_gx):
        return Hidden("hidden by its setting")
    if output and get("State") is None and get("Dimming") is None:
        return Hidden("neither State nor Dimming is valid")
    return _drawn(get, service)


def hidden(values: Mapping[str, Value]) -> list[str]:
    """Return what a screen would not show of a service, and why: ``output x ...: no name``."""
    found = []
    for prefix, output in (("/SwitchableOutput/", True), ("/GenericInput/", False)):
        ids = {path[len(prefix) :].split("/")[0] for path in values if path.startswith(prefix)}
        for identity in sorted(ids):
            start = prefix + identity + "/"
            rows = {path[len(start) :]: it for path, it in values.items() if path.startswith(start)}
            judged = judge(rows, {}, output)
            if isinstance(judged, Hidden):
                word = "output" if output else "input"
                found.append(f"{word} {identity} will not be shown: {judged.reason}")
    return found


def _is_shown(show: Value, on_gx: bool) -> bool:
    if not isinstance(show, int):
        return False
    return bool(show & 1 or show & 6 == 6 or show & (2 if on_gx else 4))


def _drawn(get: Callable[[str], Value], service: Mapping[str, Value]) -> Shown:
    group, own, name = get("Settings/Group"), get("Settings/CustomName"), get("Name")
    card = str(group) if group else None
    if own:
        return Shown(card, str(own))
    if card is None:
        return Shown(None, str(name))
    device = service.get("CustomName") or "{} ({})".format(
        service.get("ProductName"), service.get("DeviceInstance")
    )
    return Shown(card, f"{device} | {name}")
