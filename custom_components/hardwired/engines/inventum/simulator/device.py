"""The simulated terminal: a state machine that is driven by keys and a clock (spec i).

It is silent until it is spoken to. What the host may rely on is what the specification knows of
real units; all else can be switched. It writes down every value that was ever set, on whatever
row: :attr:`SimulatedEcolution.writes`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from ...simulating import remember
from . import pages
from .columns import HEADERS, header_text
from .day import House
from .faults import INSTANT, Fault, Faults, Trouble, random_trouble
from .line import Line
from .settings import RefusedTo, SimulatorSettings, Waking

REBOOT_SECONDS = 3.0
UNPLUGGED_SECONDS = 3.0
PREAMBLE_AFTER = 0.29
ENDLESS_EVERY = 0.05
ESCAPE_WITHIN = 0.005
"""A lone Escape is one when nothing follows so soon."""
RAISED_AT = 70.0
_POSITIONS = 3


class Page(Enum):
    """What the terminal shows."""

    ASLEEP = auto()
    LOGIN = auto()
    CHALLENGE = auto()
    MENU = auto()
    SUBMENU = auto()
    LIST = auto()
    EDIT = auto()
    LOGGER = auto()


@dataclass(frozen=True, slots=True)
class RowWrite:
    """Somebody has set an override, or taken it back (``value`` is ``None``)."""

    time: float
    number: int
    value: str | None


class SimulatedEcolution:
    """One unit. It goes on living while nobody is connected."""

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self.settings = settings or SimulatorSettings()
        self._dice = random.Random(self.settings.seed)  # noqa: S311
        self.faults = Faults(random.Random(self.settings.seed + 1))  # noqa: S311
        self._fault_dice = (
            random.Random(self.settings.faults) if self.settings.faults >= 0 else None  # noqa: S311
        )
        self.line = Line(self.settings.rate)
        self.house = House(self.settings.start_of_day)
        self.wall_switch = self.settings.wall_switch
        self.header = HEADERS[self.settings.header]
        self.overrides: dict[int, str] = {}
        self.writes: list[RowWrite] = []
        self.entered_rows: list[int] = []
        """The numbers of the rows whose prompt was opened."""
        self.other_digits: list[str] = []
        """Digits of the menu that nobody should press."""
        self.challenges = 0
        self.page = Page.ASLEEP
        self.selected = self.settings.selected_row - 1
        self.printed: list[tuple[float, int]] = []
        """When the last rows were printed, and the position at that moment."""
        self._names = pages.row_names(self.settings.rows, self.settings.fan_row)
        self._typed = ""
        self._field = ""
        self._replace_field = False
        self._number = ""
        self._pending = b""
        self._escape_at: float | None = None
        self._refresh_at: float | None = None
        self._row_at: float | None = None
        self._begin_at: float | None = None
        self._endless_at: float | None = None
        self._fault_at: float | None = None
        self._dead_until = 0.0
        self._gone_until: float | None = None
        self._connected = False

    # ------------------------------------------------------------------------- the simulator

    def connected(self, now: float) -> None:
        """The port is open. The device keeps its page and says nothing."""
        self._proceed(now)
        self._connected = True
        self._gone_until = None
        self.line.clear(now)
        if self._fault_dice is not None and self._fault_at is None:
            self._fault_at = now + self.settings.fault_every

    def disconnected(self, now: float) -> None:
        """The port is closed. What runs goes on."""
        self._connected = False
        self.line.clear(now)

    @property
    def hung_up(self) -> bool:
        """Whether the port is gone."""
        return self._gone_until is not None

    def plugged(self, now: float) -> bool:
        """Whether the port can be opened."""
        return self._gone_until is None or now >= self._gone_until

    def receive(self, data: bytes, now: float) -> None:
        """Keys have arrived."""
        self._proceed(now)
        data = self._pending + data
        self._pending, self._escape_at = b"", None
        position = 0
        while position < len(data):
            key = data[position : position + 1]
            if key == b"\x1b":
                if position + 1 == len(data):
                    self._pending, self._escape_at = key, now + ESCAPE_WITHIN
                    return
                if data[position + 1 : position + 2] == b"[":
                    key = data[position : position + 3]
            position += len(key)
            self._press(key, now)

    def transmit(self, now: float) -> bytes:
        """Return what leaves at *now*."""
        self._proceed(now)
        return self.faults.damaged(self.line.take(now), now)

    def next_due(self, now: float) -> float | None:
        """Return when something happens by itself."""
        moments = [
            self.line.due(),
            self._escape_at,
            self._refresh_at,
            self._begin_at,
            self._row_at,
            self._endless_at,
            self._fault_at,
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    # ------------------------------------------------------------------------------- the truth

    @property
    def override(self) -> int | None:
        """The position that the fan's row is set to."""
        text = self.overrides.get(self.settings.fan_row, "")
        return int(text) if text in ("0", "1", "2", "3") else None

    def position(self, now: float) -> int:
        """Return where the fan really stands."""
        override = self.override
        if override is not None:
            position = override
        elif self.settings.raises and self.house.humidity > RAISED_AT:
            position = max(self.wall_switch, 2)
        else:
            position = self.wall_switch
        self.house.look(now, position)
        return position

    # ------------------------------------------------------------------------------ the faults

    def inflict(self, trouble: Trouble, now: float) -> None:
        """Let a fault strike."""
        self._proceed(now)
        if trouble.fault not in INSTANT:
            self.faults.begin(trouble, now)
            if trouble.fault is Fault.ENDLESS:
                self._endless_at = now
            return
        self.faults.struck[trouble.fault] += 1
        match trouble.fault:
            case Fault.LOG_OUT:
                self._show(Page.LOGIN, now)
            case Fault.ASK_AGAIN:
                self._stop()
                self.page, self._typed = Page.LOGIN, ""
                self.line.send(pages.login(clear=False), now)
            case Fault.CANCEL_OVERRIDE:
                self.overrides.pop(self.settings.fan_row, None)
            case Fault.REBOOT:
                self.reboot(now)
            case Fault.UNPLUG:
                self.unplug(now, trouble.strength or UNPLUGGED_SECONDS)

    def reboot(self, now: float) -> None:
        """Power was off: override and login are lost."""
        self._stop()
        self.line.clear(now)
        self.overrides.clear()
        self.page = Page.ASLEEP
        self.selected = self.settings.selected_row - 1
        self._dead_until = now + REBOOT_SECONDS

    def unplug(self, now: float, seconds: float = UNPLUGGED_SECONDS) -> None:
        """Pull the USB plug for a while."""
        self._gone_until = now + seconds
        self.line.clear(now)

    def heal(self) -> None:
        """No fault stands any more, and none will come by itself."""
        self.faults.clear()
        self._fault_at = self._endless_at = None

    # -------------------------------------------------------------------------------- the time

    def _proceed(self, now: float) -> None:
        if self._escape_at is not None and now >= self._escape_at:
            self._pending, self._escape_at = b"", None
            self._press(b"\x1b", now)
        if self._fault_at is not None and self._fault_dice is not None and now >= self._fault_at:
            self._fault_at = now + self.settings.fault_every
            self.inflict(random_trouble(self._fault_dice), now)
        if self._endless_at is not None and now >= self._endless_at:
            self._talk(now)
        if self._begin_at is not None and now >= self._begin_at:
            self._begin_at = None
            self._begin_log(now)
        while self._row_at is not None and now >= self._row_at:
            if self._connected:
                self._print_row(self._row_at)
            else:
                self._row_at += (
                    (now - self._row_at) // self.settings.interval * (self.settings.interval)
                )
            self._row_at += self.settings.interval
        if self._refresh_at is not None and now >= self._refresh_at:
            self._refresh_at = now + self.settings.refresh
            if self.line.busy_until <= now:
                self._draw(now, clear=self.settings.refresh_clears)

    def _talk(self, now: float) -> None:
        if not self.faults.strength(Fault.ENDLESS, now):
            self._endless_at = None
            return
        self._endless_at = now + ENDLESS_EVERY
        self._out(bytes(self._dice.choices(range(32, 127), k=24)), now)

    def _out(self, data: bytes, now: float, *, page: bool = False) -> None:
        if not self._connected or now < self._dead_until:
            return
        if self.faults.strength(Fault.STUCK, now):
            return
        if page and self.faults.stands(Fault.HALF_PAGES, now):
            data = data[: self._dice.randrange(len(data) + 1)]
        late = self.faults.strength(Fault.LATE_PAGES, now)
        self.line.send(data, now + late)

    def _stop(self) -> None:
        self._refresh_at = self._row_at = self._begin_at = None

    # -------------------------------------------------------------------------------- the keys

    def _press(self, key: bytes, now: float) -> None:
        if now < self._dead_until or self.faults.stands(Fault.STUCK, now):
            return
        if self.faults.stands(Fault.LOSE_KEYS, now):
            return
        times = 2 if self.faults.stands(Fault.DOUBLE_KEYS, now) else 1
        for _ in range(times):
            self._react(key, now)

    def _react(self, key: bytes, now: float) -> None:
        match self.page:
            case Page.ASLEEP:
                if self.settings.waking is Waking.ANY or key == b"\r":
                    self._show(Page.LOGIN, now)
            case Page.LOGIN | Page.CHALLENGE:
                self._at_prompt(key, now)
            case Page.MENU:
                self._in_menu(key, now)
            case Page.SUBMENU | Page.LOGGER | Page.LIST if key == b"\x1b":
                self._show(Page.MENU, now)
            case Page.LIST:
                self._in_list(key, now)
            case Page.EDIT:
                self._in_edit(key, now)

    def _echo(self, key: bytes, now: float) -> None:
        if not self.faults.strength(Fault.LOSE_ECHO, now):
            self._out(key, now + self.settings.reaction)

    def _at_prompt(self, key: bytes, now: float) -> None:
        when = now + self.settings.reaction
        if key != b"\r":
            if key.isdigit():
                self._typed = (self._typed + key.decode())[:20]
                if self.settings.login_echo:
                    self._echo(key, now)
            return
        typed, self._typed = self._typed, ""
        self._out(b"\r\n", when)
        if self.page is Page.LOGIN:
            right = typed == self.settings.login_code
            if right:
                self._challenge(now)
            else:
                self._out(pages.login(clear=False), when)
        elif self._accepts(typed):
            self._show(Page.MENU, now)
        elif self.settings.refused_to is RefusedTo.CHALLENGE:
            self._challenge(now)
        else:
            self._show(Page.LOGIN, now)

    def _challenge(self, now: float) -> None:
        self.page = Page.CHALLENGE
        self.challenges += 1
        self._number = f"{self._dice.randrange(100000):05d}"
        self._out(pages.challenge(self._number), now + self.settings.reaction)

    def _accepts(self, typed: str) -> bool:
        return typed.isdigit() and int(typed) == self._wanted(self._number)

    def _wanted(self, number: str) -> int:
        """The device's rule, number -> code; a real unit's is not known."""
        mixed = (int(number) * 2654435761 + self.settings.seed * 40503) % 2**32
        usual = int(self.settings.challenge_code)
        if (mixed >> 8) % self.settings.odds == 0:
            return usual
        other = mixed % 99
        return other if other < usual else other + 1

    def _in_menu(self, key: bytes, now: float) -> None:
        if key == b"\x1b":
            if self.settings.escape_logs_out:
                self._show(Page.LOGIN, now)
            return
        if len(key) != 1 or key not in b"123456789":
            return
        digit = key.decode()
        self._echo(key, now)
        match digit:
            case pages.IO_KEY:
                self._show(Page.LIST, now)
            case pages.LOGGER_KEY:
                self._stop()
                self.page = Page.LOGGER
                self._begin_at = now + self.settings.reaction + PREAMBLE_AFTER
            case _:
                remember(self.other_digits, digit)
                self._show(Page.SUBMENU, now, lambda: pages.submenu(digit))

    def _in_list(self, key: bytes, now: float) -> None:
        before = self.selected
        match key:
            case b"\x1b[A":
                self.selected = max(0, before - 1)
            case b"\x1b[B":
                self.selected = min(self.settings.rows - 1, before + 1)
            case b"\r":
                self._open_prompt(now)
                return
            case _:
                return
        if self.selected == before:
            return
        when = now + self.settings.reaction
        if self.settings.scrolling or self.settings.rows > pages.VISIBLE:
            self._out(self._list_page(now, clear=False), when, page=True)
        else:
            drawn = pages.moved(self._rows(), before, self.selected, self.settings.marker)
            self._out(drawn, when, page=True)

    def _open_prompt(self, now: float) -> None:
        remember(self.entered_rows, self.selected + 1)
        self._field = self._shown(self.selected + 1) if self.settings.prefilled else ""
        self._replace_field = True
        self._show(Page.EDIT, now)

    def _in_edit(self, key: bytes, now: float) -> None:
        number = self.selected + 1
        match key:
            case b"\x1b":
                self.overrides.pop(number, None)
                remember(self.writes, RowWrite(now, number, None))
                self._close_prompt(now)
            case b"\r":
                if self._field and not self.faults.strength(Fault.IGNORED_OVERRIDE, now):
                    self.overrides[number] = self._field
                if self._field:
                    remember(self.writes, RowWrite(now, number, self._field))
                self._close_prompt(now)
            case _ if len(key) == 1 and key.isdigit():
                self._field = (b"" if self._replace_field else self._field.encode()).decode()
                self._field = (self._field + key.decode())[:6]
                self._replace_field = False
                if self.settings.edit_echo:
                    if self.settings.prefilled:
                        self._out(self._prompt(clear=False), now + self.settings.reaction)
                    else:
                        self._echo(key, now)

    def _close_prompt(self, now: float) -> None:
        if self.settings.title_goes:
            self._show(Page.LIST, now)
            return
        self._show(Page.LIST, now, lambda: pages.prompt_gone() + self._list_page(now, clear=False))

    # ------------------------------------------------------------------------------- the pages

    def _show(self, page: Page, now: float, draw: Callable[[], bytes] | None = None) -> None:
        self._stop()
        self.page = page
        self._typed = ""
        when = now + self.settings.reaction
        drawn = draw() if draw is not None else self._drawn(now, clear=True)
        self._out(drawn, when, page=True)
        if self.settings.refresh and page in (Page.MENU, Page.LIST, Page.EDIT):
            self._refresh_at = when + self.settings.refresh

    def _draw(self, now: float, *, clear: bool) -> None:
        self._out(self._drawn(now, clear=clear), now, page=True)

    def _drawn(self, now: float, *, clear: bool) -> bytes:
        match self.page:
            case Page.LOGIN:
                return pages.login(clear=clear)
            case Page.MENU:
                return pages.menu(clear=clear)
            case Page.LIST:
                return self._list_page(now, clear=clear)
            case Page.EDIT:
                return self._prompt(clear=self.settings.title_goes)
            case _:
                return b""

    def _prompt(self, *, clear: bool) -> bytes:
        return pages.prompt(self._names[self.selected], self._field, clear=clear)

    def _rows(self) -> list[pages.ListRow]:
        return [
            pages.ListRow(number, name, self._shown(number))
            for number, name in enumerate(self._names, 1)
        ]

    def _shown(self, number: int) -> str:
        if number in self.overrides:
            return self.overrides[number]
        return str(self.wall_switch) if number == self.settings.fan_row else "0"

    def _list_page(self, now: float, *, clear: bool) -> bytes:
        page = pages.list_page(
            self._rows(),
            self.selected,
            self.settings.marker,
            scrolling=self.settings.scrolling,
            clear=clear,
        )
        if self.faults.strength(Fault.GHOST_ROW, now):
            ghost = pages.at(pages.FIRST_ROW + (self.selected + 5) % self.settings.rows, 2)
            page += pages.REVERSE + ghost + b"?" + pages.PLAIN
        return page

    # ------------------------------------------------------------------------------ the logger

    def _begin_log(self, now: float) -> None:
        names = list(self.header)
        if self.faults.strength(Fault.OTHER_HEADER, now):
            names[self._dice.randrange(len(names))] = f"Nieuw {self._dice.randrange(5)}"
        text = header_text(names).encode("latin-1") + b"\r\n"
        if not self.faults.strength(Fault.NO_PREAMBLE, now):
            text = pages.preamble(self.settings.interval) + text
        self._out(text, now)
        self._row_at = now + self.settings.interval

    def _print_row(self, now: float) -> None:
        if self.faults.strength(Fault.NO_ROWS, now):
            return
        position = self.position(now)
        values = self.house.values(position)
        fields = [f"0,{values.get(name, '0')}" for name in self.header]
        strange = self.faults.stands(Fault.STRANGE_POSITION, now) and "3-standen" in self.header
        if strange:
            fields[self.header.index("3-standen")] = "1," + self._dice.choice(("--", "7", "?", ""))
        line = ",".join(fields).encode("latin-1")
        if self.faults.stands(Fault.CUT_ROWS, now):
            line = line[: self._dice.randrange(len(line))]
        if self.faults.stands(Fault.RUBBISH_IN_ROWS, now):
            place = self._dice.randrange(len(line) + 1)
            line = line[:place] + b",Fout,\x1b[K" + line[place:]
        merged = self.faults.stands(Fault.MERGED_ROWS, now)
        self._out(line + (b"" if merged else b"\r\n"), now)
        self.printed.append((now, position))
        del self.printed[:-50]


def quiet(settings: SimulatorSettings) -> SimulatorSettings:
    """Return the same unit without pages that redraw themselves."""
    return replace(settings, refresh=0.0)
