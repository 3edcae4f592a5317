"""What the display of a GX would show, read from the D-Bus tree (spec D.3.2, D.9).

``look`` says it as devices and cards; ``picture`` writes it as text, ``drawing`` draws it.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Tuple

from mqtt_devices.bus import Bus, BusError, from_variant
from mqtt_devices.channels import DISCRETE
from mqtt_devices.visible import Hidden, judge

from .objects import ITEM

_PREFIX = "com.victronenergy."
_CHANNELS = (("/SwitchableOutput/", True), ("/GenericInput/", False))
_SHOWN = (
    "/Temperature",
    "/Humidity",
    "/Level",
    "/Remaining",
    "/Soc",
    "/Ac/Power",
    "/Ac/Energy/Forward",
    "/Dc/0/Voltage",
    "/Dc/0/Power",
    "/Status",
)
_UNITS = {"/Temperature": " °C", "/Humidity": " %", "/Level": " %", "/Remaining": " m³"}
FINE = (0, 1, 9)  # of an output's Status: off, powered, on

Tree = Dict[str, Tuple[Any, str]]  # path -> value and text


class Control(NamedTuple):
    """An output or input as it is drawn.

    ``on`` is None for what has no State; ``share`` says how full a bar is, 0 to 1, None without
    one; ``text`` is the value; ``warning`` is what is written over the control. ``auto`` is for
    a three-state switch, ``light`` for a lamp: hue, saturation, brightness, white, temperature.
    """

    caption: str
    output: bool
    kind: int
    on: bool | None
    share: float | None
    text: str
    warning: str
    auto: bool = False
    light: list[int] | None = None


class Entry(NamedTuple):
    """A line of the device list: title, and texts of what is shown."""

    title: str
    kind: str
    values: list[tuple[str, str]]


class Screen(NamedTuple):
    """Everything on the display."""

    devices: list[Entry]
    cards: dict[str, list[Control]]


async def services(bus: Bus) -> dict[str, Tree]:
    """Return every device's service: bus name -> path -> value and text."""
    found = {}
    for name in sorted(await bus.names()):
        if not name.startswith(_PREFIX) or name.count(".") < 3:
            continue
        try:
            tree = (await bus.call(name, "/", ITEM, "GetItems"))[0]
        except BusError:
            continue
        found[name] = {
            path: (from_variant(item["Value"]), str(item["Text"].value))
            for path, item in tree.items()
        }
    return found


def look(trees: Mapping[str, Tree]) -> Screen:
    """Return the device list, and the cards of the switch pane."""
    screen = Screen([], {})
    for name, tree in trees.items():
        title = _title(tree)
        if title is None:
            continue
        shown = [
            (path[1:], tree[path][1] + _UNITS.get(path, ""))
            for path in _SHOWN
            if _valid(tree, path)
        ]
        screen.devices.append(Entry(title, name.split(".")[2], shown))
        for card, control in _controls(tree, title):
            screen.cards.setdefault(card, []).append(control)
    return screen


def picture(trees: Mapping[str, Tree]) -> str:
    """Return the screen as text."""
    screen = look(trees)
    lines = ["Devices"]
    for entry in screen.devices:
        values = "  ".join(f"{path} {text}" for path, text in entry.values)
        lines.append(f"  {entry.title:<28} {values}")
    for card, controls in screen.cards.items():
        lines += ["", f"[ {card} ]"]
        lines.extend(f"  {control.caption:<28} {_words(control)}" for control in controls)
    return "\n".join(lines)


def _words(control: Control) -> str:
    words = [] if control.on is None else ["on" if control.on else "off"]
    if control.text:
        words.append(control.text)
    if control.warning:
        words.append("! " + control.warning)
    return " ".join(words)


def _valid(tree: Tree, path: str) -> bool:
    return path in tree and tree[path][0] is not None


def _title(tree: Tree) -> str | None:
    """Return what the device list calls a service; None when it is not listed."""
    instance = tree.get("/DeviceInstance", (None, ""))[0]
    name = tree.get("/CustomName", ("", ""))[0] or tree.get("/ProductName", ("", ""))[0]
    listed = isinstance(instance, int) and instance >= 0 and name
    return f"{name} ({instance})" if listed else None


def _controls(tree: Tree, title: str) -> list[tuple[str, Control]]:
    """Return card and control of every output and input that is shown."""
    found = []
    service = {key[1:]: tree[key][0] for key in ("/CustomName", "/ProductName") if key in tree}
    service["DeviceInstance"] = tree["/DeviceInstance"][0]
    for prefix, output in _CHANNELS:
        ids = {path[len(prefix) :].split("/")[0] for path in tree if path.startswith(prefix)}
        for identity in sorted(ids):
            start = f"{prefix}{identity}/"
            rows = {path[len(start) :]: it for path, it in tree.items() if path.startswith(start)}
            judged = judge({key: it[0] for key, it in rows.items()}, service, output)
            if not isinstance(judged, Hidden):
                found.append((judged.card or title, _control(judged.caption, rows, output)))
    return found


def _control(caption: str, rows: Tree, output: bool) -> Control:
    kind = rows["Settings/Type"][0]
    on = rows["State"][0] == 1 if output and "State" in rows else None
    levels = [rows[it] for it in ("Dimming", "Value", "LightControls") if it in rows]
    words = [text for value, text in levels if value is not None]
    if not output and kind == DISCRETE:  # reserved words are translated by the display
        words = [it[1:].capitalize() if it.startswith("/") else it for it in words]
    measured = rows.get("Measurement", (None, ""))
    if measured[0] is not None:
        words.append("/ " + measured[1])
    status = rows.get("Status", (None, ""))[0]
    warning = ""
    if output and status not in FINE:
        warning = "status unknown" if status is None else f"status 0x{status:02x}"
    auto = rows.get("Auto", (0, ""))[0] == 1
    light = rows.get("LightControls", (None, ""))[0]
    text = " ".join(words)
    return Control(caption, output, kind, on, _share(rows), text, warning, auto, light)


def _share(rows: Tree) -> float | None:
    """Return how much of a bar is full."""
    for level, low, high in (
        ("Dimming", "Settings/DimmingMin", "Settings/DimmingMax"),
        ("Value", "Settings/RangeMin", "Settings/RangeMax"),
    ):
        value = rows.get(level, (None, ""))[0]
        least, most = rows.get(low, (0.0, ""))[0], rows.get(high, (100.0, ""))[0]
        if not isinstance(value, (int, float)) or "Settings/Labels" in rows:
            continue
        if isinstance(least, (int, float)) and isinstance(most, (int, float)) and most > least:
            return min(1.0, max(0.0, (value - least) / (most - least)))
    return None
