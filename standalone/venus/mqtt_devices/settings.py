"""The settings service of the GX: names, types and instance numbers are kept there (spec B.4, D.4).

What to ask for and how to read the answers is here, and the calls that carry it.
"""

from __future__ import annotations

import logging
from typing import Any, Mapping, NamedTuple

from .bus import Bus, BusError, BusLost, Variant, from_variant, to_variant
from .items import Lookup
from .names import instance_path, setting_path
from .options import Plan
from .rows import Row
from .rules import ACCEPTED, judge
from .values import Value

_LOG = logging.getLogger("settings")

SERVICE = "com.victronenergy.settings"
INTERFACE = "com.victronenergy.Settings"
ITEM = "com.victronenergy.BusItem"
DEVICES = "/Settings/MqttDevices"

TYPE_DIFFERS = -5


class NoSettings(Exception):
    """The settings service is away or does not answer; try again later."""


class NoInstance(Exception):
    """The settings service gave no number for a service; the text says why."""


class Kept(NamedTuple):
    """What the settings service keeps of one service."""

    instance: int
    values: dict[str, Value]


def stored_rows(plan: Plan) -> list[Row]:
    """Return the rows that are kept."""
    return [row for row in plan.rows.values() if row.stored]


def entries(name: str, plan: Plan) -> list[dict[str, Variant]]:
    """Return what AddSettings is asked for: stored rows, and the instance as the last one."""
    asked = [
        {
            "path": Variant("s", setting_path(name, row.path)),
            "default": to_variant(row.default),
            "min": to_variant(row.low if row.low is not None else 0),
            "max": to_variant(row.high if row.high is not None else 0),
            "silent": Variant("b", False),
        }
        for row in stored_rows(plan)
    ]
    asked.append(
        {
            "path": Variant("s", instance_path(name)),
            "default": Variant("s", f"{plan.kind}:{plan.instance}"),
            "silent": Variant("b", False),
        }
    )
    return asked


def parse_instance(value: Any, kind: str) -> int | None:
    """Return the number of ``<type>:<number>``; None for another class or no number."""
    if not isinstance(value, str):
        return None
    found, _, number = value.partition(":")
    if found != kind or not (number.isascii() and number.isdigit()) or len(number) > 9:
        return None
    return int(number)


def is_right(row: Row, value: Value, lookup: Lookup) -> bool:
    """Whether a stored value is of the row's kind and within its limits (spec O11)."""
    if value is None or isinstance(value, list):
        return False
    return judge(row, value, lookup).code == ACCEPTED


class Settings:
    """Calls to the settings service over the driver's own connection."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def _call(self, path: str, interface: str, member: str, kind: str, *body: Any) -> Any:
        try:
            reply = await self._bus.call(SERVICE, path, interface, member, kind, list(body))
        except (BusError, BusLost) as error:
            raise NoSettings(str(error)) from error
        return from_variant(reply[0]) if reply else None

    async def add(self, asked: list[dict[str, Variant]]) -> list[Mapping[str, Any]]:
        """Add settings in one call; returns path, error and value of each. Raises NoSettings."""
        answers = await self._call("/", INTERFACE, "AddSettings", "aa{sv}", asked)
        found: list[Mapping[str, Any]] = []
        if isinstance(answers, list):
            found.extend(it for it in answers if isinstance(it, dict))
        if len(found) != len(asked):
            raise NoSettings("AddSettings was answered with something else")
        return found

    async def remove(self, paths: list[str]) -> None:
        """Remove settings; absent ones are passed over. Raises NoSettings."""
        short = [path[len("/Settings/") :] for path in paths]
        await self._call("/Settings", INTERFACE, "RemoveSettings", "as", short)

    async def device_paths(self) -> dict[str, list[str]]:
        """Return the settings of every device that was ever here, by name. Raises NoSettings."""
        try:
            reply = await self._bus.call(SERVICE, DEVICES, ITEM, "GetValue")
        except BusError as error:
            if error.name.startswith("org.freedesktop.DBus.Error.Unknown"):
                return {}  # no device has been here
            raise NoSettings(str(error)) from error
        except BusLost as error:
            raise NoSettings(str(error)) from error
        kept = from_variant(reply[0]) if reply else None
        found: dict[str, list[str]] = {}
        for path in kept if isinstance(kept, dict) else ():
            name = path.split("/")[0]
            found.setdefault(name, []).append(f"{DEVICES}/{path}")
        for name, paths in found.items():
            if name.startswith("mqtt_"):
                paths.append(instance_path(name))
        return found

    async def set(self, path: str, value: Value) -> bool:
        """Write one setting; says whether it was taken. Raises NoSettings."""
        answer = await self._call(path, ITEM, "SetValue", "v", to_variant(value))
        return bool(answer == 0)

    async def get(self, path: str) -> Any:
        """Read one setting. Raises NoSettings."""
        return await self._call(path, ITEM, "GetValue", "")

    async def keep(self, name: str, plan: Plan) -> Kept:
        """Add the settings of a service and return what is kept; two calls at most as a rule.

        Raises NoSettings, or NoInstance.
        """
        asked = entries(name, plan)
        answers = await self.add(asked)
        rows = stored_rows(plan)
        answers = await self._again_if_types_differ(rows, asked, answers)
        values = await self._usable(name, plan, rows, answers)
        return Kept(await self._instance(name, plan, answers[-1]), values)

    async def _again_if_types_differ(
        self, rows: list[Row], asked: list[dict[str, Variant]], answers: list[Mapping[str, Any]]
    ) -> list[Mapping[str, Any]]:
        """Replace settings that another version kept as another type (spec D.4)."""
        wrong = [n for n, answer in enumerate(answers) if answer.get("error") == TYPE_DIFFERS]
        if not wrong:
            return answers
        await self.remove([asked[number]["path"].value for number in wrong])
        again = await self.add([asked[number] for number in wrong])
        answers = list(answers)
        for number, answer in zip(wrong, again):
            answers[number] = answer
        return answers

    async def _usable(
        self, name: str, plan: Plan, rows: list[Row], answers: list[Mapping[str, Any]]
    ) -> dict[str, Value]:
        """Return the stored values; wrong ones give way to the default, in the setting too."""
        values: dict[str, Value] = {}
        for row, answer in zip(rows, answers):
            value = answer.get("value")
            if answer.get("error"):
                _LOG.warning("%s%s is not kept: error %s", name, row.path, answer["error"])
                values[row.path] = row.default  # there is no setting that could be written
                continue

            def lookup(path: str) -> Value:
                there = plan.rows.get(path)
                return there.default if there is not None else None

            if not is_right(row, value, lookup):
                _LOG.warning("%s%s: stored value %r is not usable", name, row.path, value)
                value = row.default
                await self.set(setting_path(name, row.path), value)
            values[row.path] = value
        return values

    async def _instance(self, name: str, plan: Plan, answer: Mapping[str, Any]) -> int:
        if answer.get("error"):
            raise NoInstance("no instance: the settings service says {}".format(answer["error"]))
        number = parse_instance(answer.get("value"), plan.kind)
        if number is None:  # the name was of another type before (spec D.4)
            return await self.move(name, plan.kind, plan.instance)
        return number

    async def move(self, name: str, kind: str, wish: int) -> int:
        """Have a service's number changed to a wished one, or the next that is free.

        Raises NoSettings, or NoInstance.
        """
        path = instance_path(name)
        await self.set(path, f"{kind}:{wish}")
        number = parse_instance(await self.get(path), kind)
        if number is None:
            raise NoInstance("no instance: the settings service keeps another class")
        return number
