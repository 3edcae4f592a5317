"""What is simulated: the settings of a world, read from an address's query (spec i)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from ...link import Parity, SerialSettings
from ..scom.families import Family
from .devices import Device
from .faults import Fault, parse_faults
from .gateway import GatewaySettings
from .machines import Monitor, Setting, Solar, Xtender
from .plant import Grid, Layout, Plant

RS232 = SerialSettings(38400, parity=Parity.EVEN)
LAN = SerialSettings(115200)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSettings:
    """What is simulated. Times are seconds, ``start`` the plant's wall clock without a zone."""

    layout: Layout = field(default_factory=Layout)
    monitor: bool = True
    """A BSP, or the Xcom-CAN where the layout says lithium."""
    seed: int = 1
    start: datetime = datetime(2026, 6, 15, 10, 0)  # noqa: DTZ001 - the plant knows no zone
    time_scale: float = 1.0
    soc: float | None = None
    serial: SerialSettings | None = RS232
    """How the line is set; ``None``: a line that takes no time."""
    latency: tuple[float, float] = (0.02, 0.09)
    hiccup: float = 0.3
    """Added to one answer every 60 s, while the gateway writes its log."""
    chunk: int = 0
    """Bytes that a receiver hands over at once; 0: the whole answer when it is complete."""
    crlf: bool = False
    """The gateway is in Xcom-LAN mode: 0D 0A after each answer."""
    strip: bool = False
    """The Moxa strips 0D 0A out of what it sends."""
    portal: float | None = None
    """Interval in which the portal polls over the same line; ``None``: there is none."""
    firmware: str = "1.6.54"
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    past_messages: int = 12
    log_days: int = 3
    faults: tuple[Fault, ...] = ()


def build(settings: WorldSettings) -> tuple[Plant, list[Device]]:
    """Make the plant and the devices that know it, each by its parameters."""
    layout = settings.layout
    source = Random(f"{settings.seed}/fids")  # noqa: S311
    devices: list[Device] = []

    def setting_of(place: int) -> Setting:
        # The device is made after its machine, so it is looked up when needed.
        return lambda number: devices[place].parameters.in_force(number)  # noqa: PLW0108

    place = 0
    xtenders, tracks, strings = [], [], []
    for index in range(layout.xtenders):
        unit = Xtender(index + 1, settings.seed, setting_of(place))
        unit.phase = index % layout.phases
        xtenders.append(unit)
        place += 1
    for index in range(layout.variotracks):
        track = Solar(index + 1, settings.seed, setting_of(place))
        track.open_volts = 1.9 * layout.nominal + 32
        tracks.append(track)
        place += 1
    for index in range(layout.variostrings):
        string = Solar(index + 101, settings.seed, setting_of(place))
        string.peak, string.inputs, string.open_volts = 4200.0, 2, 480.0
        string.current_limit = 14001
        strings.append(string)
        place += 1
    monitor = Monitor(1, settings.seed, setting_of(place)) if settings.monitor else None
    plant = Plant(
        layout, settings.seed, xtenders=xtenders, solars=(*tracks, *strings), monitor=monitor,
        soc=settings.soc,
    )  # fmt: skip
    seats: list[tuple[Family, int, Any]] = [
        *((Family.XT, unit.index, unit) for unit in xtenders),
        *((Family.VT, unit.index, unit) for unit in tracks),
        *((Family.VS, unit.index - 100, unit) for unit in strings),
    ]
    if monitor is not None:
        seats.append((Family.BMS if layout.lithium else Family.BSP, 1, monitor))
    for family, index, machine in seats:
        fid = f"{source.randrange(0x0100, 0xFFFE):04X}{source.randrange(1, 0xFFFF):04X}"
        devices.append(
            Device(family, index, fid=fid, firmware=settings.firmware, plant=plant, machine=machine)
        )
    return plant, devices


def settings_from(query: Mapping[str, str]) -> WorldSettings:
    """Return what an address's query describes. Raises :class:`ValueError`."""
    reader = _Query(query)
    lan = reader.flag("lan", default=False)
    lithium = reader.flag("xcomcan", default=False)
    monitor = reader.flag("bsp", default=True) or lithium
    serial = LAN if lan else RS232
    baud = reader.number("baud", serial.baudrate)
    if baud and not 300 <= baud <= 1_000_000:
        raise ValueError("baud is 0 (a line that takes no time) or 300 to 1000000")
    xtenders = reader.whole("xtenders", 6, 0, 9)
    phases = reader.whole("phases", 3 if xtenders and xtenders % 3 == 0 else 1, 1, 3)
    seed = reader.whole("seed", 1, 0, 2**31)
    nominal = reader.one_of("battery", 48, (12, 24, 48))
    layout = Layout(
        xtenders=xtenders,
        phases=phases,
        variotracks=reader.whole("variotracks", 2, 0, 15),
        variostrings=reader.whole("variostrings", 1, 0, 15),
        lithium=lithium,
        nominal=nominal,
        ac=reader.one_of("ac", 230, (120, 230)),
        capacity=800.0 * 48 / nominal,
        frequency=60.0 if query.get("ac") == "120" else 50.0,
        grid=Grid(reader.text("grid", "auto")),
    )
    guid = str(uuid.UUID(bytes=Random(f"{seed}/guid").randbytes(16))) if lan else None  # noqa: S311
    missing = reader.text("missing", "zero")
    settings = WorldSettings(
        layout=layout,
        monitor=monitor,
        seed=seed,
        start=reader.start(),
        time_scale=reader.number("time_scale", 1.0),
        soc=reader.share("soc"),
        serial=SerialSettings(int(baud), parity=serial.parity) if baud else None,
        latency=reader.span("latency_ms", (20.0, 90.0)),
        hiccup=reader.number("hiccup_ms", 0.0 if query.get("latency_ms") == "0" else 300.0) / 1000,
        chunk=reader.whole("chunk", 0, 0, 4096),
        crlf=reader.flag("crlf", default=lan),
        strip=reader.flag("strip", default=lan),
        portal=reader.number("portal", 0.0) or None,
        firmware=reader.version("firmware", "1.6.54"),
        gateway=GatewaySettings(
            firmware=reader.version("xcom_firmware", "1.6.76"),
            guid=reader.text("guid", guid or "") or None,
            multi_info=reader.flag("multi_info", default=True),
            missing={"zero": 0.0, "nan": float("nan"), "omit": None}[missing],
            datalog=reader.flag("datalog", default=True),
        ),
        past_messages=reader.whole("messages", 12, 0, 3000),
        log_days=reader.whole("log_days", 3, 0, 400),
        faults=tuple(parse_faults(reader.text("faults", ""))),
    )
    reader.finish()
    return settings


class _Query:
    """Reads a query, key by key; an unknown key is an error."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._left = dict(query)

    def text(self, name: str, default: str) -> str:
        return self._left.pop(name, default)

    def number(self, name: str, default: float) -> float:
        found = float(self._left.pop(name, default))
        if not 0 <= found < 1e9:
            raise ValueError(f"{name} is a number of at least 0, not {found:g}")
        return found

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        found = int(self._left.pop(name, default))
        if not least <= found <= most:
            raise ValueError(f"{name} is {least} to {most}, not {found}")
        return found

    def one_of(self, name: str, default: int, choices: tuple[int, ...]) -> int:
        found = int(self._left.pop(name, default))
        if found not in choices:
            raise ValueError(f"{name} is one of {choices}, not {found}")
        return found

    def flag(self, name: str, *, default: bool) -> bool:
        found = self._left.pop(name, None)
        if found is None:
            return default
        if found.lower() not in ("0", "1", "", "true", "false", "yes", "no", "on", "off"):
            raise ValueError(f"{name} is 0 or 1, not {found!r}")
        return found.lower() in ("1", "", "true", "yes", "on")

    def share(self, name: str) -> float | None:
        found = self._left.pop(name, None)
        if found is None:
            return None
        if not 2 <= float(found) <= 100:
            raise ValueError(f"{name} is 2 to 100 %, not {found}")
        return float(found) / 100

    def span(self, name: str, default: tuple[float, float]) -> tuple[float, float]:
        found = self._left.pop(name, None)
        if found is None:
            return default[0] / 1000, default[1] / 1000
        least, _, most = found.partition("-")
        low, high = float(least) / 1000, float(most or least) / 1000
        if not 0 <= low <= high <= 60:
            raise ValueError(f"{name} is written like 50 or 20-90, not {found!r}")
        return low, high

    def version(self, name: str, default: str) -> str:
        found = self._left.pop(name, default)
        parts = found.split(".")
        if len(parts) != 3 or not all(part.isdecimal() and int(part) < 256 for part in parts):
            raise ValueError(f"{name} is written like 1.6.54, not {found!r}")
        return found

    def start(self) -> datetime:
        """Return the plant's wall clock; without one it is that of this machine."""
        found = self._left.pop("start", None)
        if found is None:
            return datetime.now(UTC).astimezone().replace(tzinfo=None, microsecond=0)
        return datetime.fromisoformat(found).replace(tzinfo=None)

    def finish(self) -> None:
        """Raise :class:`ValueError` for what is left."""
        if self._left:
            raise ValueError(f"the simulator has no setting {', '.join(sorted(self._left))}")
