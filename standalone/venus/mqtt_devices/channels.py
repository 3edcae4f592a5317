"""Outputs and inputs of a service: options of a registration become rows (spec D.3.2, D.3.3).

A channel is what is fixed about one output or input. Its rows are ordinary rows of the service;
how a level is judged and shown depends on other rows of the channel, which are looked up when
they are needed.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping, NamedTuple

from .levels import level_range
from .rows import Row
from .rules import judge
from .tables import ChannelTable
from .values import Value, as_flag, as_int, is_finite, is_number, is_text

MOST = 32
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,31}")
MOMENTARY, DIMMABLE, SET_POINT, STEPPED, DROPDOWN, BILGE_PUMP = 0, 2, 3, 4, 6, 10
SLIDERS = (2, 3, 7, 8)
DISCRETE, INPUT_TEMPERATURE = 0, 3

STATUS_ON = 9

Report = Callable[[str, str], None]

_TEXTS = {  # option -> least and most characters
    "name": (1, 64),
    "custom_name": (0, 32),
    "group": (0, 32),
    "unit": (0, 16),
    "primary_label": (1, 32),
}
_NUMBERS = {"decimals": (0, 6), "show": (0, 7), "status": (0, 255), "function": (0, 6)}
_ENDS = ("min", "max", "step")
_READ_APART = (None, "type", "valid_types", "function", "valid_functions", "value", "light", *_ENDS)
_FLAGS = ("state", "auto", "invert", "adjustable", "on_off", "current", "voltage")


class Channel(NamedTuple):
    """One output or input: its rows, in the order of the table."""

    prefix: str
    kind: int
    rows: tuple[Row, ...]


def parse_channels(
    value: Any, table: ChannelTable, word: str, auto_status: bool, report: Report
) -> list[Channel] | None:
    """Make the channels that ``outputs`` or ``inputs`` ask for; None when it is unusable.

    ``report`` gets the end of the error's key, which begins with ``word``, and a text.
    """
    members = _members(value, word)
    if members is None:
        report(word, "neither a list nor a number of outputs")
        return None
    made: dict[str, Channel] = {}
    used: set[str] = set()
    for index, member in enumerate(members):
        if len(used) == MOST:
            report(word, f"more than {MOST}")
            break
        options = {"id": member} if isinstance(member, str) else member
        identity = options.get("id") if isinstance(options, dict) else None
        if not isinstance(identity, str) or not ID.fullmatch(identity):
            report(f"{word}[{index}]", "no usable id")
            continue
        key = f"{word}.{identity}"
        if identity in used:
            report(key, "id is used twice")
            continue
        used.add(identity)
        channel = _Builder(
            identity, options, table, word=word, auto_status=auto_status, report=report
        ).build()
        if channel is not None:
            made[identity] = channel
    return list(made.values())


def _members(value: Any, word: str) -> list[Any] | None:
    if isinstance(value, list):
        return value
    count = as_int(value)
    if word == "outputs" and count is not None and 0 <= count <= MOST:
        return [str(number) for number in range(1, count + 1)]
    return None


class _Builder:
    """Makes one channel from its options."""

    def __init__(
        self,
        identity: str,
        options: Mapping[str, Any],
        table: ChannelTable,
        *,
        word: str,
        auto_status: bool,
        report: Report,
    ) -> None:
        self.identity = identity
        self.options = options
        self.table = table
        self.is_output = word == "outputs"
        self.key = f"{word}.{identity}"
        self.auto_status = auto_status
        self._report = report
        self.kind = 0
        self.kinds: list[int] = []
        self.taken: dict[str, Any] = {}

    def report(self, option: str, text: str) -> None:
        self._report(f"{self.key}.{option}", text)

    def build(self) -> Channel | None:
        kind = self._type(self.options.get("type", 1))
        if kind is None:
            self._report(self.key, "no such type")
            return None
        self.kind = kind
        self.kinds = self._valid_types()
        self._flags_that_bring_rows()
        rows = self._table_rows()
        for row in rows:
            self._read_option(row)
        self._read_ends()
        self._read_functions()
        if self.is_output and DROPDOWN in self.kinds and "labels" not in self.taken:
            self._report(self.key, "a dropdown needs labels")
            return None
        prefix = f"{self.table.prefix}{self.identity}/"
        made = [row for entry in self._table_rows() for row in [self._row(prefix, entry)] if row]
        made.extend(self._settings(prefix))
        return Channel(prefix, self.kind, tuple(self._with_start_values(prefix, made)))

    # ------------------------------------------------------------------ types

    def _type(self, word: Any) -> int | None:
        if isinstance(word, str):
            return self.table.type_names.get(word)
        number = as_int(word)
        return number if number in self.table.type_names.values() else None

    def _valid_types(self) -> list[int]:
        if "valid_types" not in self.options:
            return [self.kind]
        given = self.options["valid_types"]
        kinds = [self._type(it) for it in given] if isinstance(given, list) else []
        for family in self.table.families:
            if self.kind in family and self.kind in kinds and all(it in family for it in kinds):
                return sorted({it for it in kinds if it is not None})
        self.report("valid_types", "not types of one family with the type among them")
        return [self.kind]

    # ---------------------------------------------------------------- options

    def _flags_that_bring_rows(self) -> None:
        wanted = ["current", "voltage"] if self.is_output else []
        if self.is_output and any(it in (3, 6, 7, 8) for it in self.kinds):
            wanted.append("on_off")
        for option in wanted:
            self._take(option)

    def _fits(self, entry: Mapping[str, Any]) -> bool:
        """Whether a row of the table can be in this channel at all."""
        if any(it in entry["types"] for it in self.kinds):
            return True
        return any(
            self._optional(option) and any(it in kinds for it in self.kinds)
            for option, kinds in entry.get("optional_types", {}).items()
        )

    def _optional(self, option: str) -> bool:
        """Whether an option that brings a row is there; on_off must also be true."""
        return bool(self.taken.get("on_off")) if option == "on_off" else option in self.options

    def _table_rows(self) -> list[Mapping[str, Any]]:
        return [entry for entry in self.table.rows if self._fits(entry)]

    def _read_option(self, entry: Mapping[str, Any]) -> None:
        option = entry["default_from"]
        if option not in _READ_APART:
            self._take(option)

    def _take(self, option: str) -> None:
        """Check one option and keep its value."""
        if option not in self.options or option in self.taken:
            return
        value = self._checked(option, self.options[option])
        if value is not None:
            self.taken[option] = value
        elif not (self.is_output and option == "labels"):  # then the dropdown itself is left out
            self.report(option, "unusable value")

    def _checked(self, option: str, value: Any) -> Any:
        if option in _TEXTS:
            return value if is_text(value, *_TEXTS[option]) else None
        if option in _NUMBERS:
            number = as_int(value)
            low, high = _NUMBERS[option]
            return number if number is not None and low <= number <= high else None
        if option in _FLAGS:
            return as_flag(value)
        if option == "labels":
            fine = isinstance(value, list) and 1 <= len(value) <= 64
            return list(value) if fine and all(is_text(it, 1, 64) for it in value) else None
        return None

    def _read_ends(self) -> None:
        """Options min, max and step (spec O8)."""
        if self.is_output and STEPPED in self.kinds:
            steps = as_int(self.options.get("max"))
            if steps is not None and 2 <= steps <= 7:
                self.taken["max"] = steps
            elif "max" in self.options:
                self.report("max", "not 2 to 7")
            return
        fitting = SLIDERS if self.is_output else (2, 3)
        if not any(it in fitting for it in self.kinds):
            return
        for option in ("min", "max", "step") if self.is_output else ("min", "max"):
            if option not in self.options:
                continue
            value = self.options[option]
            if is_number(value) and is_finite(value) and (option != "step" or value > 0):
                self.taken[option] = float(value)
            else:
                self.report(option, "not a usable number")
        if self.taken.get("min", 0.0) >= self.taken.get("max", 100.0):
            self.taken.pop("min", None)
            self.taken.pop("max", None)
            self.report("max", "not above min")

    def _read_functions(self) -> None:
        if not self.is_output:
            return
        self._take("function")
        function = self.taken.setdefault("function", 2)
        mask = 1 << function
        if "valid_functions" in self.options:
            given = self.options["valid_functions"]
            numbers = [as_int(it) for it in given] if isinstance(given, list) else []
            if function in numbers and all(it is not None and 0 <= it <= 6 for it in numbers):
                mask = sum(1 << it for it in set(numbers) if it is not None)
            else:
                self.report("valid_functions", "not a list of functions with the function in it")
        self.taken["valid_functions"] = mask
        self.taken["type"] = self.kind

    # ------------------------------------------------------------------- rows

    def _is_there(self, entry: Mapping[str, Any]) -> bool:
        """Whether the row is in this channel, now that its options are read."""
        only_with = entry.get("only_with")
        if only_with is not None and not self._brings(only_with):
            return False
        if any(it in entry["types"] for it in self.kinds):
            return True
        return any(map(self._brings, entry["optional_types"]))

    def _brings(self, option: str) -> bool:
        """Whether an option is there and brings its row: the flags among them must be set."""
        if option in ("current", "voltage", "on_off"):
            return bool(self.taken.get(option))
        return option in self.taken

    def _row(self, prefix: str, entry: Mapping[str, Any]) -> Row | None:
        option = entry["default_from"]
        if not self._is_there(entry):
            return None
        default = entry["default"]
        if isinstance(default, str):
            default = default.replace("<n>", self.identity)
        default = self.taken.get(option, default) if option else default
        if option == "type":
            default = self.kind
        elif option == "valid_types":
            default = sum(1 << it for it in self.kinds)
        return Row(
            path=prefix + entry["path"],
            kind=entry["kind"],
            default=list(default) if isinstance(default, list) else default,
            text_format=entry["text_format"],
            stored=entry["stored"],
            low=entry["min"],
            high=entry["max"],
            writable=entry["written_by"] != "nobody",
            from_gx="GX" in entry["written_by"],
            channel=prefix,
        )

    def _settings(self, prefix: str) -> list[Row]:
        """Rows for the hardware's settings (spec D.3.2)."""
        given = self.options.get("settings")
        if not self.is_output or "settings" not in self.options:
            return []
        if not isinstance(given, dict):
            self.report("settings", "not an object")
            return []
        rows = []
        for name, (kind, low, high) in self.table.settings.items():
            if name not in given:
                continue
            value = given[name]
            number = as_int(value) if kind == "int" else value
            if not is_number(number) or not is_finite(number) or not low <= number <= high:
                self.report(f"settings.{name}", "unusable value")
                continue
            limits = (low, high) if kind == "int" else (None, None)
            path = f"{prefix}Settings/{name}"
            rows.append(
                Row(
                    path,
                    kind,
                    number,
                    low=limits[0],
                    high=limits[1],
                    from_gx=True,
                    channel=prefix,
                )
            )
        return rows

    # ------------------------------------------------------------ start values

    def _with_start_values(self, prefix: str, rows: list[Row]) -> list[Row]:
        """Fill in the level, the light and the status (spec D.3.2, O10)."""
        values = {row.path: row.default for row in rows}
        by_field = {row.field: row for row in rows}
        for field, option in (("Dimming", "value"), ("Value", "value"), ("LightControls", "light")):
            row = by_field.get(field)
            if row is None:
                continue
            start = self._start(row, values.get)
            if option in self.options:
                given = self._given(row, self.options[option], values.get)
                if given is None:
                    self.report(option, "unusable value")
                else:
                    start = given
            by_field[field] = row._replace(default=start)
        if self.is_output:
            status = by_field["Status"]
            by_field["Status"] = status._replace(default=self._status(by_field.get("State")))
        return [by_field[row.field] for row in rows]

    def _start(self, row: Row, lookup: Callable[[str], Value]) -> Value:
        if row.field == "Value":
            return None
        if row.field == "LightControls":
            return row.default
        low, _ = level_range(row, lookup)
        if low is None:
            return None
        return float(low) if row.kind == "double" else int(low)

    @staticmethod
    def _given(row: Row, value: Any, lookup: Callable[[str], Value]) -> Value:
        numbers = value if isinstance(value, list) else [value]
        if not numbers or not all(is_number(it) for it in numbers):
            return None
        verdict = judge(row, value, lookup)
        return verdict.value if verdict.code == 0 else None

    def _status(self, state: Row | None) -> int:
        if "status" in self.taken:
            return int(self.taken["status"])
        if state is None:
            return STATUS_ON
        on = state.default == 1 and self.kind != BILGE_PUMP
        return STATUS_ON if self.auto_status and on else 0
