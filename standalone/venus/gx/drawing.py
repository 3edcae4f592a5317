"""The screen of a GX as an SVG: the device list on the left, the cards of controls on the right."""

from __future__ import annotations

from typing import Callable
from xml.sax.saxutils import escape

from .screen import Control, Entry, Screen
from .words import Say

LEFT, CARD, GAP, PAD = 500, 330, 18, 16  # px: width of the list, of a card, between, inside
HEAD, ROW, TALL = 52, 46, 74  # px: heights of a heading, a device, a control
COLUMNS = 2

BACK, PANE, LINE = "#141414", "#272622", "#3a3936"
TEXT, DIM, BLUE, RED, GREEN = "#faf9f5", "#969591", "#387dc5", "#f35c58", "#72b84c"

MOMENTARY, TOGGLE, DIMMABLE, SET_POINT, STEPPED = 0, 1, 2, 3, 4
DROPDOWN, SLIDER, NUMBER, THREE_STATE, BILGE_PUMP = 6, 7, 8, 9, 10
RGB, CCT, RGBW = 11, 12, 13


def draw(screen: Screen, say: Say = str) -> str:
    """Return the screen as an SVG document; *say* gives the words of the display itself."""
    columns: list[list[str]] = [[] for _ in range(COLUMNS)]
    heights = [PAD] * COLUMNS
    for title, controls in screen.cards.items():
        column = heights.index(min(heights))
        x = LEFT + 2 * PAD + column * (CARD + GAP)
        columns[column].append(_card(x, heights[column], title, controls, say))
        heights[column] += HEAD + TALL * len(controls) + GAP
    used = COLUMNS if len(screen.cards) > 1 else len(screen.cards)
    width = LEFT + 2 * PAD + (used * (CARD + GAP) + PAD - GAP if used else 0)
    height = max(*heights, HEAD + ROW * len(screen.devices) + 2 * PAD)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Museo Sans, DejaVu Sans, sans-serif">',
        f'<rect width="{width}" height="{height}" fill="{BACK}"/>',
        _devices(screen.devices, say),
        *(part for column in columns for part in column),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _text(
    x: float, y: float, words: str, size: int = 16, *, colour: str = TEXT, end: bool = False
) -> str:
    anchor = ' text-anchor="end"' if end else ""
    fill = f'fill="{colour}" font-size="{size}"'
    return f'<text x="{x:g}" y="{y:g}" {fill}{anchor}>{escape(_cut(words, 60))}</text>'


def _middle(x: float, y: float, words: str, *, size: int = 15, colour: str = TEXT) -> str:
    fill = f'fill="{colour}" font-size="{size}" text-anchor="middle"'
    return f'<text x="{x:g}" y="{y:g}" {fill}>{escape(_cut(words, 40))}</text>'


def _cut(words: str, most: int) -> str:
    clean = "".join(it if it.isprintable() else " " for it in words)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def _box(
    x: float, y: float, width: float, height: float, *, fill: str, edge: str = "", r: int = 8
) -> str:
    stroke = f' stroke="{edge}"' if edge else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{r}" '
        f'fill="{fill}"{stroke}/>'
    )


def _devices(entries: list[Entry], say: Say) -> str:
    height = HEAD + ROW * len(entries)
    parts = [
        _box(PAD, PAD, LEFT - PAD, height, fill=PANE),
        _text(2 * PAD, PAD + 34, say("Devices"), 20),
    ]
    for number, entry in enumerate(entries):
        y = PAD + HEAD + number * ROW
        parts.append(f'<path d="M{2 * PAD} {y}H{LEFT - PAD}" stroke="{LINE}"/>')
        parts.append(_text(2 * PAD, y + 29, _cut(entry.title, 24)))
        shown = " · ".join(text for path, text in entry.values if path != "Status")
        parts.append(_text(LEFT - PAD, y + 29, _cut(shown, 34), 15, colour=DIM, end=True))
    return "\n".join(parts)


def _card(x: float, y: float, title: str, controls: list[Control], say: Say) -> str:
    height = HEAD + TALL * len(controls)
    parts = [
        _box(x, y, CARD, height, fill=PANE),
        _text(x + PAD, y + 34, _cut(title, 30), 18, colour=DIM),
    ]
    for number, control in enumerate(controls):
        parts.append(_control(x + PAD, y + HEAD + number * TALL, control, say))
    return "\n".join(parts)


def _control(x: float, y: float, control: Control, say: Say) -> str:
    width = CARD - 2 * PAD
    parts = [_text(x, y + 14, _cut(control.caption, 34), 14, colour=DIM)]
    if control.warning:
        parts.append(_text(x + width, y + 14, control.warning, 13, colour=RED, end=True))
    draw_one = _WIDGETS.get(control.kind, _value) if control.output else _input
    parts.append(draw_one(x, y + 22, width, control, say))
    return "\n".join(parts)


def _button(x: float, y: float, width: float, words: str, lit: bool) -> str:
    fill, edge = (BLUE, BLUE) if lit else (BACK, BLUE)
    return _box(x, y, width, 38, fill=fill, edge=edge) + _middle(x + width / 2, y + 25, words)


def _momentary(x: float, y: float, width: float, control: Control, say: Say) -> str:
    return _button(x, y, width, say("Press"), bool(control.on))


def _toggle(x: float, y: float, width: float, control: Control, say: Say) -> str:
    half = width / 2
    return _button(x, y, half, say("Off"), not control.on) + _button(
        x + half, y, half, say("On"), bool(control.on)
    )


def _three_state(x: float, y: float, width: float, control: Control, say: Say) -> str:
    words = (say("Off"), say("On"), say("Auto"))
    third = width / 3
    chosen = 2 if control.auto else int(bool(control.on))
    return "".join(
        _button(x + n * third, y, third, word, n == chosen) for n, word in enumerate(words)
    )


def _bilge(x: float, y: float, width: float, control: Control, say: Say) -> str:
    return _button(x, y, width, say("On" if control.on else "Auto"), bool(control.on))


def _bar(x: float, y: float, width: float, control: Control, say: Say) -> str:
    full = width * (control.share or 0.0)
    lit = BLUE if control.on is not False else LINE
    parts = [_box(x, y, width, 38, fill=BACK, edge=BLUE)]
    if full > 1:
        parts.append(_box(x, y, max(full, 12), 38, fill=lit))
    state = "" if control.on is None else say("On" if control.on else "Off") + "  "
    parts.append(_middle(x + width / 2, y + 25, state + control.text))
    return "".join(parts)


def _set_point(x: float, y: float, width: float, control: Control, say: Say) -> str:
    del say
    inner = _middle(x + width / 2, y + 25, control.text)
    ends = _button(x, y, 44, "−", lit=False) + _button(x + width - 44, y, 44, "+", lit=False)
    return _box(x, y, width, 38, fill=BACK, edge=BLUE) + ends + inner


def _dropdown(x: float, y: float, width: float, control: Control, say: Say) -> str:
    del say
    arrow = f'<path d="M{x + width - 28:g} {y + 15:g}h14l-7 9z" fill="{BLUE}"/>'
    return (
        _box(x, y, width, 38, fill=BACK, edge=BLUE)
        + _text(x + 14, y + 25, control.text, 15)
        + arrow
    )


def _light(x: float, y: float, width: float, control: Control, say: Say) -> str:
    hue, saturation, brightness = (control.light or [0, 0, 0])[:3]
    if control.kind == CCT:
        hue, saturation = 38, 60
    lit = f"hsl({hue}, {saturation}%, {15 + brightness // 2}%)" if control.on else LINE
    return _box(x, y, width, 38, fill=lit, edge=BLUE) + _middle(
        x + width / 2, y + 25, f"{say('On' if control.on else 'Off')}  {brightness} %"
    )


def _value(x: float, y: float, width: float, control: Control, say: Say) -> str:
    state = "" if control.on is None else say("On" if control.on else "Off") + "  "
    return _box(x, y, width, 38, fill=BACK, edge=LINE) + _middle(
        x + width / 2, y + 25, state + control.text
    )


def _input(x: float, y: float, width: float, control: Control, say: Say) -> str:
    del say
    parts = []
    if control.share is not None and control.kind in (2, 3):
        parts.append(_box(x, y + 28, width, 8, fill=LINE, r=4))
        parts.append(_box(x, y + 28, max(8.0, width * control.share), 8, fill=GREEN, r=4))
    parts.append(_text(x + width, y + 20, control.text or "--", 16, end=True))
    return "".join(parts)


_WIDGETS: dict[int, Callable[[float, float, float, Control, Say], str]] = {
    MOMENTARY: _momentary,
    TOGGLE: _toggle,
    DIMMABLE: _bar,
    SET_POINT: _set_point,
    STEPPED: _bar,
    DROPDOWN: _dropdown,
    SLIDER: _bar,
    NUMBER: _set_point,
    THREE_STATE: _three_state,
    BILGE_PUMP: _bilge,
    RGB: _light,
    CCT: _light,
    RGBW: _light,
}
