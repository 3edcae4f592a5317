"""What the display of a GX would show, drawn as text from the D-Bus tree (spec D.3.2, D.9)."""

from __future__ import annotations

from typing import Any

from mqtt_devices.bus import Bus, BusError, from_variant
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


async def services(bus: Bus) -> dict[str, dict[str, tuple[Any, str]]]:
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


def picture(trees: dict[str, dict[str, tuple[Any, str]]]) -> str:
    """Return the device list, and the cards of the switch pane."""
    lines = ["Devices"]
    cards: dict[str, list[str]] = {}
    for name, tree in trees.items():
        title = _title(tree)
        if title is None:
            continue
        shown = [f"{path[1:]} {tree[path][1]}" for path in _SHOWN if _valid(tree, path)]
        lines.append(f"  {title:<28} {'  '.join(shown)}")
        for card, text in _controls(tree, title):
            cards.setdefault(card, []).append(text)
        del name
    for card, texts in cards.items():
        lines += ["", f"[ {card} ]", *(f"  {text}" for text in texts)]
    return "\n".join(lines)


def _valid(tree: dict[str, tuple[Any, str]], path: str) -> bool:
    return path in tree and tree[path][0] is not None


def _title(tree: dict[str, tuple[Any, str]]) -> str | None:
    """Return what the device list calls a service; None when it is not listed."""
    instance = tree.get("/DeviceInstance", (None, ""))[0]
    name = tree.get("/CustomName", ("", ""))[0] or tree.get("/ProductName", ("", ""))[0]
    listed = isinstance(instance, int) and instance >= 0 and name
    return f"{name} ({instance})" if listed else None


def _controls(tree: dict[str, tuple[Any, str]], title: str) -> list[tuple[str, str]]:
    """Return card and text of every output and input that is shown."""
    found = []
    service = {key[1:]: tree[key][0] for key in ("/CustomName", "/ProductName") if key in tree}
    service["DeviceInstance"] = tree["/DeviceInstance"][0]
    for prefix, output in _CHANNELS:
        ids = {path[len(prefix) :].split("/")[0] for path in tree if path.startswith(prefix)}
        for identity in sorted(ids):
            start = f"{prefix}{identity}/"
            rows = {path[len(start) :]: it for path, it in tree.items() if path.startswith(start)}
            judged = judge({key: it[0] for key, it in rows.items()}, service, output)
            if isinstance(judged, Hidden):
                continue
            found.append((judged.card or title, f"{judged.caption:<28} {_state(rows, output)}"))
    return found


def _state(rows: dict[str, tuple[Any, str]], output: bool) -> str:
    words = []
    if output and "State" in rows:
        words.append("on" if rows["State"][0] else "off")
    levels = [rows[it] for it in ("Dimming", "Value", "LightControls") if it in rows]
    words.extend(text for value, text in levels if value is not None)
    measured = rows.get("Measurement", (None, ""))
    if measured[0] is not None:
        words.append("/ " + measured[1])
    status = rows["Status"][0]
    if status not in (0, 1, 9) and output:
        words.append("! status unknown" if status is None else f"! status 0x{status:02x}")
    return " ".join(words)
