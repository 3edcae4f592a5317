"""A stand-in for the settings service: allocation, errors, limits and signals (spec B.4, I.1).

Held to the recording of the real one (``localsettings/calls.json``). The file is JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mqtt_devices.bus import Message, Variant, from_variant, to_variant

from .objects import UNKNOWN_METHOD, UNKNOWN_OBJECT, Objects, run, until_told

NAME = "com.victronenergy.settings"
INTERFACE = "com.victronenergy.Settings"

_LETTERS = {
    "i": "i",
    "x": "i",
    "u": "i",
    "y": "i",
    "n": "i",
    "q": "i",
    "b": "i",
    "d": "f",
    "s": "s",
}
_KINDS = {"i": int, "f": float, "s": str}


class Settings(Objects):
    """All settings; ``meta`` has what is fixed about each: type, default, min, max."""

    def __init__(self, file: Path | None = None) -> None:
        super().__init__()
        self.meta: dict[str, dict[str, Any]] = {}
        self._file = file
        self._changed = False
        if file is not None and file.exists():
            for path, entry in json.loads(file.read_text()).items():
                self.values[path] = entry.pop("value")
                self.meta[path] = entry

    def _handle(self, message: Message) -> Any:
        """Answer, with the file written before the answer is: once for each call."""
        reply = super()._handle(message)
        if self._changed and self._file is not None:
            kept = {path: {**self.meta[path], "value": self.values[path]} for path in self.values}
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(kept))
            new.replace(self._file)
        self._changed = False
        return reply

    # ------------------------------------------------------------------- leaves

    def text(self, path: str) -> str:
        """Return the text of a leaf."""
        return str(self.values[path])

    def item(self, path: str, with_limits: bool = False) -> dict[str, Variant]:
        """Return a leaf; limits that are none are only in the signal of a setting that is new."""
        meta = self.meta[path]
        found = super().item(path)
        found["Default"] = to_variant(meta["default"])
        limited = with_limits or not meta["min"] == meta["max"] == 0
        if meta["type"] != "s" and limited:
            found["Min"] = to_variant(meta["min"])
            found["Max"] = to_variant(meta["max"])
        return found

    def set_value(self, path: str, value: Any) -> int:
        """Write a leaf; returns 0, or -1 for what is not taken."""
        meta = self.meta[path]
        converted = self._converted(path, meta["type"], value)
        if converted is None or not _within(converted, meta):
            return -1
        if self.values[path] != converted:
            self.values[path] = converted
            self._changed = True
            self.changed(path, Objects.item(self, path))
        return 0

    def _converted(self, path: str, letter: str, value: Any) -> Any:
        if value is None and letter == "s":
            return None
        try:
            converted = _KINDS[letter](value)
        except (TypeError, ValueError, OverflowError):
            return None
        return self._unique(path, converted) if _is_class(path) else converted

    def _unique(self, path: str, value: str) -> str | None:
        """Return the wish for an instance with the lowest free number from there on."""
        kind, colon, number = value.partition(":")
        if not kind or not colon or not number.isdigit():
            return None
        taken = {it for other, it in self.values.items() if _is_class(other) and other != path}
        wish = int(number)
        while f"{kind}:{wish}" in taken:
            wish += 1
        return f"{kind}:{wish}"

    # -------------------------------------------------------------------- calls

    def call(self, message: Message) -> Message | None:
        """Answer a call that only settings have."""
        if message.interface == INTERFACE:
            return self._settings_call(message)
        if message.member in ("GetMin", "GetMax", "GetDefault", "SetDefault"):
            return self._meta_call(message)
        return None

    def _meta_call(self, message: Message) -> Message:
        path = str(message.path)
        meta = self.meta.get(path)
        if meta is None:
            return Message.new_error(message, UNKNOWN_OBJECT, path)
        if message.member == "SetDefault":
            return Message.new_method_return(message, "i", [self.set_value(path, meta["default"])])
        value = meta[str(message.member)[3:].lower()]
        return Message.new_method_return(message, "v", [to_variant(value)])

    def _settings_call(self, message: Message) -> Message:
        node = "" if message.path == "/" else str(message.path)
        if message.member == "AddSettings":
            answers = [self._add(node, entry) for entry in message.body[0]]
            return Message.new_method_return(message, "aa{sv}", [answers])
        if message.member == "AddSetting":
            group, name, default, _, low, high = message.body
            path = "/" + "/".join(part.strip("/") for part in (group, name) if part)
            entry = {"path": Variant("s", path if node else "/Settings" + path), "default": default}
            if default.signature != "s":
                entry.update(min=low, max=high)
            answer = self._add(node, entry, absolute=not node)
            return Message.new_method_return(message, "i", [answer["error"].value])
        if message.member == "RemoveSettings":
            codes = [self._remove(f"{node}/{it}") for it in message.body[0]]
            return Message.new_method_return(message, "ai", [codes])
        return Message.new_error(message, UNKNOWN_METHOD, str(message.member))

    def _add(self, node: str, entry: dict[str, Variant], absolute: bool = False) -> dict[str, Any]:
        given = entry.get("path")
        if given is None or not given.value:
            return {"error": Variant("i", -4)}
        answer = {"path": given}
        path = given.value if absolute or not node else node + "/" + given.value.lstrip("/")
        answer["error"] = Variant("i", self._add_at(path, entry))
        if path in self.values and answer["error"].value != -5:
            answer["value"] = to_variant(self.values[path])
        return answer

    def _add_at(self, path: str, entry: dict[str, Variant]) -> int:
        code = self._refuse(path, entry)
        if code:
            return code
        default = from_variant(entry["default"])
        letter = _LETTERS[entry["default"].signature]
        meta = {
            "type": letter,
            "default": _KINDS[letter](default),
            "min": _limit(entry.get("min")),
            "max": _limit(entry.get("max")),
        }
        if letter == "s":
            meta["min"] = meta["max"] = 0
        if not _within(meta["default"], meta):
            return -7
        value = self.values.get(path, meta["default"])
        if path not in self.values and _is_class(path):
            value = self._unique(path, value)
            if value is None:
                self.changed(path, {"Value": to_variant(None), "Text": Variant("s", "")})
                return -6
        elif _is_class(path) and self._unique(path, meta["default"]) is None:
            return -6
        if self.meta.get(path) != meta:
            self.values[path], self.meta[path] = value, meta
            self._changed = True
            self.changed(path, self.item(path, with_limits=True))
        return 0

    def _refuse(self, path: str, entry: dict[str, Variant]) -> int:
        if "/_" in path:
            return -2
        if not path.startswith("/Settings/"):
            return -9
        default = entry.get("default")
        letter = _LETTERS.get(default.signature) if default is not None else None
        if letter is None:
            return -3
        if any(other.startswith(path + "/") for other in self.values):
            return -8
        if path in self.meta and self.meta[path]["type"] != letter:
            return -5
        return 0

    def _remove(self, path: str) -> int:
        if path not in self.values:
            return -1
        del self.values[path], self.meta[path]
        self._changed = True
        self.changed(path, {"Value": to_variant(None), "Text": Variant("s", "")})
        return 0

    def put(self, path: str, value: Any) -> None:
        """Add a setting with a value, for a beginning that a test wants."""
        letter = "s" if isinstance(value, str) else "f" if isinstance(value, float) else "i"
        self.values[path] = value
        self.meta[path] = {"type": letter, "default": value, "min": 0, "max": 0}


def _limit(given: Any) -> Any:
    value = from_variant(given)
    return 0 if value is None else value


def _is_class(path: str) -> bool:
    return path.endswith("/ClassAndVrmInstance")


def _within(value: Any, meta: dict[str, Any]) -> bool:
    if meta["type"] == "s" or meta["min"] == meta["max"] == 0:
        return True
    return bool(meta["min"] <= value <= meta["max"])


def main(arguments: list[str] | None = None) -> None:
    """Run the settings service."""
    parser = argparse.ArgumentParser(prog="gx.settings", description=__doc__)
    parser.add_argument("--bus", help="address of the bus")
    parser.add_argument("--file", type=Path, help="where settings are kept")
    given = parser.parse_args(arguments)

    async def serve() -> None:
        settings = Settings(given.file)
        await settings.appear(given.bus, NAME)
        await until_told(settings.bus)

    run(serve)


if __name__ == "__main__":
    main()
