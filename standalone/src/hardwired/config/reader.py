"""CONFIG.toml -> settings with all defaults, or every error with its place (spec b.3)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from . import tables
from .kinds import NAME, kind_of, nearest, option, split_host_port
from .lines import key_lines
from .old_files import INVENTUMUSB, SUNSNIFF, SUNSNIFF_SECTIONS, program_of
from .tables import Key, Needs, Table

LARGEST = 2**20
SECTIONS = ("bridge", "log", "http", "devices", "sinks")
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_NO_NAME = (
    "is no name: small letters, digits, _ and -, at most 32, beginning with a letter or digit; "
    "not bridge"
)
_BROKER_SINKS = frozenset({tables.MQTT, tables.VENUS})
_SAME_LINK_OFTEN = "sim:"


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, or doubtful: ``KEY TEXT``, with the line if it is known."""

    line: int | None
    key: str
    text: str

    def told(self, file: str) -> str:
        """Return the sentence for people."""
        place = file if self.line is None else f"{file}:{self.line}"
        return f"{place}: {self.key} {self.text}" if self.key else f"{place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Config:
    """A file that was read. With errors, ``value`` is not to be used.

    ``value`` has every table with all defaults; secrets stand as in the file, ``secrets`` names
    where, as paths of keys.
    """

    value: Mapping[str, Any]
    errors: tuple[Complaint, ...] = ()
    warnings: tuple[Complaint, ...] = ()
    secrets: tuple[tuple[str | int, ...], ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    usual: int = 0
    """How many of the secrets are defaults that everybody knows."""

    @property
    def ok(self) -> bool:
        """Whether it can be used."""
        return not self.errors

    def complaint(self, key: str, text: str) -> Complaint:
        """Return a complaint of a key with its line."""
        return Complaint(_line(self.lines, key), key, text)


def read_config(content: bytes) -> Config:
    """Read the content of a file."""
    if len(content) > LARGEST:
        return _unusable("the file is larger than 1 MiB")
    try:
        text = content.decode().removeprefix(_BOM)
    except UnicodeDecodeError:
        return _unusable("this is not UTF-8")
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _not_toml(text, str(error))
    except (ValueError, RecursionError, ArithmeticError) as error:
        return _unusable(f"this is not TOML: {type(error).__name__}")
    if old := _old_program_of_toml(told):
        return _unusable(_IMPORT.format(old))
    return _Reader(told, key_lines(text.replace("\r\n", "\n"))).read()


# ---------------------------------------------------------------------- files that are not ours

_IMPORT = 'this is the file of {}; "hardwired import" turns it into one of ours'


def _unusable(text: str, line: int | None = None) -> Config:
    return Config({}, (Complaint(line, "", text),))


def _not_toml(text: str, words: str) -> Config:
    program = program_of(text)
    if program is not None and program != SUNSNIFF:  # whose mistake the parser places better
        return _unusable(_IMPORT.format(program))
    line = None
    if place := re.search(r" \(at line (\d+), column \d+\)$", words):
        line, words = int(place[1]), words[: place.start()]
    elif words.endswith(" (at end of document)"):
        line = max(1, len(text.splitlines()))
        words = words.removesuffix(" (at end of document)")
    return _unusable(f"this is not TOML: {words[:200]}", line)


def _old_program_of_toml(told: Mapping[str, Any]) -> str | None:
    if SUNSNIFF_SECTIONS & told.keys():
        return SUNSNIFF
    return INVENTUMUSB if "inventum" in told else None


# ----------------------------------------------------------------------------------- the reader


def _line(lines: Mapping[str, int], key: str) -> int | None:
    return lines.get(key) or lines.get(key.rpartition(".")[0])


def _join(path: str, name: object) -> str:
    shown = name if isinstance(name, str) and name and name.isprintable() else "a key"
    return f"{path}.{shown[:80]}" if path else shown[:80]


class _Reader:
    def __init__(self, told: Mapping[str, Any], lines: Mapping[str, int]) -> None:
        self._told = told
        self._lines = lines
        self._errors: list[Complaint] = []
        self._warnings: list[Complaint] = []
        self._secrets: list[tuple[str | int, ...]] = []
        self._usual = 0
        self._unread: set[str] = set()

    def read(self) -> Config:
        told = self._told
        self._refuse_unknown("", told, SECTIONS)
        value: dict[str, Any] = {
            "bridge": self._single("bridge", tables.BRIDGE),
            "log": self._single("log", tables.LOG),
        }
        if "http" in told:
            value["http"] = self._single("http", tables.HTTP)
            self._check_http(value["http"])
        value["sinks"] = self._sinks()
        value["devices"] = self._devices(value["sinks"])
        self._check_sinks(value["sinks"])
        self._check_devices(value["devices"], value["sinks"])
        if not told.get("sinks"):
            self._warn("sinks", "there is none: readings go nowhere")
        errors = sorted(self._errors, key=lambda error: error.line or 0)
        return Config(
            value,
            tuple(errors),
            tuple(self._warnings),
            tuple(self._secrets),
            self._lines,
            self._usual,
        )

    def _error(self, key: str, text: str) -> None:
        self._errors.append(Complaint(_line(self._lines, key), key, text))

    def _warn(self, key: str, text: str) -> None:
        self._warnings.append(Complaint(_line(self._lines, key), key, text))

    def _refuse_unknown(self, path: str, told: Mapping[str, Any], known: Iterable[str]) -> None:
        names = list(known)
        for key in told:
            if key not in names:
                hint = nearest(str(key), names, 0.5)
                self._error(_join(path, key), f"is not known{hint}")

    # ---------------------------------------------------------------------------- tables

    def _single(self, name: str, table: Table) -> dict[str, Any]:
        told = self._told.get(name, {})
        if not isinstance(told, dict):
            self._error(name, f"takes a section, not {kind_of(told)}")
            told = {key.name: None for key in table.keys}
        return self._table(name, (name,), told, table)

    def _table(
        self,
        path: str,
        place: tuple[str | int, ...],
        told: Mapping[str, Any],
        table: Table,
        besides: Iterable[str] = (),
    ) -> dict[str, Any]:
        value = {
            key.name: self._key(path, place, told, key)
            for key in table.keys
            if not key.added or key.name in told
        }
        for needs in table.needs:
            told_well = _join(path, needs.key) not in self._unread
            if told_well and value.get(needs.key) == needs.value:
                self._check_needs(path, told, needs)
        self._refuse_unknown(path, told, [*besides, *table.names])
        return value

    def _key(
        self, path: str, place: tuple[str | int, ...], told: Mapping[str, Any], key: Key
    ) -> Any:
        if key.name not in told:
            if key.needed:
                self._error(_join(path, key.name), "is missing")
            if key.kind.secret and key.default is not None:
                self._secrets.append((*place, key.name))
                self._usual += 1
            return copy(key.default)
        raw = told[key.name]
        if raw is None:
            return copy(key.default)
        try:
            found = key.kind.read(raw)
        except ValueError as error:
            self._error(_join(path, key.name), str(error))
            self._unread.add(_join(path, key.name))
            return copy(key.default)
        if key.kind.secret:
            self._secrets.append((*place, key.name))
        return found

    def _check_needs(self, path: str, told: Mapping[str, Any], needs: Needs) -> None:
        for name in needs.names:
            if name not in told:
                self._error(_join(path, name), f"is missing: {needs.text}")
        for name in needs.unused:
            if name in told:
                self._warn(_join(path, name), f"is not used with {needs.key} {needs.value}")

    def _named(self, section: str) -> Iterable[tuple[str, dict[str, Any]]]:
        """Yield the tables of ``[SECTION.NAME]`` that have a good name."""
        told = self._told.get(section, {})
        if not isinstance(told, dict):
            self._error(section, f"takes a section, not {kind_of(told)}")
            return
        for name, one in told.items():
            path = _join(section, name)
            if not re.fullmatch(NAME, name) or name == "bridge":
                self._error(path, _NO_NAME)
            elif not isinstance(one, dict):
                self._error(path, f"takes a section, not {kind_of(one)}")
            else:
                yield name, one

    def _one_of(
        self, path: str, told: Mapping[str, Any], key: str, options: Iterable[str]
    ) -> str | None:
        """Return what decides on the other keys; ``None``: they can't be checked."""
        if key not in told:
            self._error(_join(path, key), "is missing")
            return None
        try:
            found: str = option(*options).read(told[key])
        except ValueError as error:
            self._error(_join(path, key), str(error))
            return None
        return found

    # ----------------------------------------------------------------------------- sinks

    def _sinks(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, told in self._named("sinks"):
            path = f"sinks.{name}"
            kind = self._one_of(path, told, "type", tables.SINKS)
            if kind is None:
                continue
            value = self._table(path, ("sinks", name), told, tables.SINKS[kind], ("type",))
            if kind in _BROKER_SINKS:
                self._check_tls(path, told, value)
            if value["password"] is not None and value["username"] is None:
                self._warn(f"{path}.password", "is not used without a username")
            if value["verify"] == "none":
                self._warn(
                    f"{path}.verify",
                    "is none: whoever stands between can read and change everything",
                )
            found[name] = {"type": kind, **value}
        return found

    def _check_tls(self, path: str, told: Mapping[str, Any], value: dict[str, Any]) -> None:
        files = [name for name in ("ca_file", "cert_file", "key_file") if value[name]]
        if value["tls"] is False and files:
            self._error(f"{path}.tls", f"is false, yet {files[0]} is there")
        for one, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
            if value[one] and other not in told:
                self._error(
                    f"{path}.{other}",
                    "is missing: a client certificate needs both cert_file and key_file",
                )
        if value["tls"] is None:
            value["tls"] = bool(files)
        if value["port"] is None:
            value["port"] = 8883 if value["tls"] else 1883

    def _check_sinks(self, sinks: Mapping[str, Any]) -> None:
        brokers = {name: one for name, one in sinks.items() if one["type"] in _BROKER_SINKS}
        for (one, first), (other, second) in combinations(brokers.items(), 2):
            if any(first[key] != second[key] for key in ("host", "port")):
                continue
            for key in ("prefix", "client_id"):
                if first.get(key) is not None and first.get(key) == second.get(key):
                    self._error(
                        f"sinks.{other}.{key}",
                        f"is the same on the same broker as that of sinks.{one}",
                    )
        self._refuse_twice("sinks", sinks, "spool")

    def _refuse_twice(self, section: str, tables_: Mapping[str, Any], key: str) -> None:
        users: dict[str, str] = {}
        for name, value in tables_.items():
            used = value.get(key)
            if not used or used.startswith(_SAME_LINK_OFTEN):
                continue
            if used in users:
                self._error(f"{section}.{name}.{key}", f"is used by {section}.{users[used]}, too")
            users.setdefault(used, name)

    # --------------------------------------------------------------------------- devices

    def _devices(self, sinks: Mapping[str, Any]) -> dict[str, Any]:
        told = self._told.get("devices", {})
        if not told and told != []:
            self._error("devices", "is missing: at least one [devices.NAME] is needed")
        found: dict[str, Any] = {}
        for name, one in self._named("devices"):
            path = f"devices.{name}"
            family = self._one_of(path, one, "family", tables.family_names())
            if family is None:
                continue
            found[name] = self._device(path, name, family, one, sinks)
        return found

    def _device(
        self, path: str, name: str, family: str, told: Mapping[str, Any], sinks: Mapping[str, Any]
    ) -> dict[str, Any]:
        own = tables.family(family).table
        table = Table((*tables.DEVICE, *own.keys), own.needs)
        value = self._table(path, ("devices", name), told, table, ("family", "adopt", "legacy"))
        return {
            "family": family,
            **value,
            "sinks": self._sink_names(path, told, value["sinks"], sinks),
            "adopt": self._adopt(path, family, told),
            "legacy": self._legacy(path, name, family, told.get("legacy", []), sinks),
        }

    def _sink_names(
        self,
        path: str,
        told: Mapping[str, Any],
        names: list[str] | None,
        sinks: Mapping[str, Any],
    ) -> list[str]:
        section = self._told.get("sinks")
        known = sorted(section if isinstance(section, dict) else sinks)
        if "sinks" not in told or names is None:
            return known
        for name in names:
            if name not in known:
                hint = nearest(name, known, 0.5)
                self._error(f"{path}.sinks", f"takes names of sinks; {name[:60]!r} is none{hint}")
        return list(dict.fromkeys(names))

    def _adopt(self, path: str, family: str, told: Mapping[str, Any]) -> str | None:
        if "adopt" not in told:
            return None
        key = f"{path}.adopt"
        try:
            found: str = option(*tables.adoptable()).read(told["adopt"])
        except ValueError as error:
            self._error(key, str(error))
            return None
        self._check_fit(key, found, family)
        return found

    def _check_fit(self, key: str, dialect: str, family: str) -> bool:
        owner = tables.dialects()[dialect]
        if owner != family:
            self._error(key, f"is for {owner}, not for {family}")
        return owner == family

    def _legacy(
        self, path: str, name: str, family: str, told: object, sinks: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        key = f"{path}.legacy"
        if not isinstance(told, list) or not all(isinstance(item, dict) for item in told):
            self._error(key, f"takes a list of sections: write [[{key}]]")
            return []
        found = []
        for index, one in enumerate(told):
            entry = f"{key}[{index + 1}]"
            dialect = self._one_of(entry, one, "dialect", tables.dialects())
            if dialect is None or not self._check_fit(f"{entry}.dialect", dialect, family):
                continue
            row = next(row for row in tables.family(family).dialects if row.name == dialect)
            place = ("devices", name, "legacy", index)
            table = Table((*tables.LEGACY, *row.keys))
            value = self._table(entry, place, one, table, ("dialect",))
            value["sink"] = self._legacy_sink(entry, one, value["sink"], sinks)
            found.append({"dialect": dialect, **value})
        return found

    def _legacy_sink(
        self,
        path: str,
        told: Mapping[str, Any],
        name: str | None,
        sinks: Mapping[str, Any],
    ) -> str | None:
        brokers = [sink for sink, value in sinks.items() if value["type"] == tables.MQTT]
        if "sink" not in told:
            if len(brokers) == 1:
                return brokers[0]
            why = "there is no MQTT sink"
            if brokers:
                why = f"there are several MQTT sinks: {', '.join(brokers)}"
            self._error(f"{path}.sink", f"is missing: {why}")
        elif name is not None and name not in brokers:
            hint = nearest(name, brokers, 0.5)
            self._error(
                f"{path}.sink", f"takes the name of an MQTT sink; {name[:60]!r} is none{hint}"
            )
        return name

    def _check_devices(self, devices: Mapping[str, Any], sinks: Mapping[str, Any]) -> None:
        self._refuse_twice("devices", devices, "link")
        self._check_topics(devices)
        for name, value in devices.items():
            others = [
                sink
                for sink in value["sinks"]
                if sink in sinks and sinks[sink]["type"] != tables.MQTT
            ]
            if sinks and not value["native"] and not value["legacy"] and not others:
                self._warn(
                    f"devices.{name}",
                    "says nothing anywhere: native is false and there is neither a legacy "
                    "dialect nor another sink",
                )
            elif sinks and value["native"] and not value["sinks"] and not value["legacy"]:
                self._warn(f"devices.{name}", "says nothing anywhere: its list of sinks is empty")

    def _check_topics(self, devices: Mapping[str, Any]) -> None:
        rows = {
            dialect.name: dialect
            for family in tables.family_names()
            for dialect in tables.family(family).dialects
        }
        users: dict[tuple[Any, ...], str] = {}
        for name, value in devices.items():
            for index, entry in enumerate(value["legacy"]):
                path = f"devices.{name}.legacy[{index + 1}]"
                topics = rows[entry["dialect"]].topics
                told = [entry[topic] for topic in topics] or [name]  # else by the device's serial
                own = (entry["dialect"], entry["sink"], *told)
                if own in users:
                    self._error(path, f"would use the same topics as {users[own]}")
                users.setdefault(own, path)

    # ------------------------------------------------------------------------------ http

    def _check_http(self, value: Mapping[str, Any]) -> None:
        if value["listen"] is None:
            return
        host, _port = split_host_port(value["listen"])
        loopback = host in {"localhost", "::1"} or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host)
        if not loopback and not value["allow_remote"]:
            self._error(
                "http.listen",
                "would answer the whole network; set allow_remote = true if that is wanted",
            )
