"""The cell model and its screens against the golden vectors (spec b.3, c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.inventum.terminal import keys, screens
from hardwired_engines.inventum.terminal.cells import ROWS, CellModel
from tests.vector_files import cases


def cuts(chunks: list[str]) -> Iterator[list[bytes]]:
    """The chunks as given, whole, and byte by byte: how a stream is cut changes nothing."""
    given = [bytes.fromhex(chunk) for chunk in chunks]
    whole = b"".join(given)
    yield given
    yield [whole]
    yield [bytes([byte]) for byte in whole]


def filled(chunks: list[bytes]) -> CellModel:
    cells = CellModel()
    for chunk in chunks:
        cells.receive_data(chunk)
    return cells


def shown(cells: CellModel) -> dict[str, Any]:
    rows = {str(row): cells.row(row).rstrip(" ") for row in range(1, ROWS + 1)}
    selection = screens.selected(cells)
    return {
        "cursor": list(cells.cursor),
        "rows": {row: text for row, text in rows.items() if text},
        "reverse_rows": [row for row in range(1, ROWS + 1) if cells.is_reversed(row)],
        "selected_row": selection and selection.row,
        "prompts": cells.prompts,
    }


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "terminal.json"))
def test_terminal_vectors(case: dict[str, Any]) -> None:
    for chunks in cuts(case["chunks"]):
        assert shown(filled(chunks)) == case["expect"]


def recognised(cells: CellModel) -> dict[str, Any]:
    view = screens.view_of(cells)
    selection = screens.selected(cells)
    facts: dict[str, Any] = {
        "view": view,
        "selected": selection
        and {"row": selection.row, "number": selection.number, "is_fan": selection.is_fan},
        "fan_row": screens.fan_row(cells),
    }
    match view:
        case screens.View.CHALLENGE:
            facts["challenge_number"] = screens.challenge_number(cells)
        case screens.View.EDIT_FAN:
            row, field = screens.edit_field(cells) or (0, "")
            facts["edit"] = {"row": row, "field": field}
        case screens.View.EXTRA_MENU:
            menu = screens.menu_keys(cells)
            facts["menu_keys"] = {"io": menu.io_status, "logger": menu.data_logger}
    return facts


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "screens.json"))
def test_screen_vectors(case: dict[str, Any]) -> None:
    for chunks in cuts(case["chunks"]):
        assert recognised(filled(chunks)) == case["expect"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "challenge.json"))
def test_challenge_vectors(case: dict[str, Any]) -> None:
    for chunks in cuts(case["chunks"]):
        cells = filled(chunks)
        view = screens.view_of(cells)
        number = screens.challenge_number(cells) if view is screens.View.CHALLENGE else None
        code = case["codes"]["login"]
        if view is screens.View.CHALLENGE:
            code = keys.challenge_answer(number, case["codes"]["challenge"])
        typed = [bytes([byte]).hex() for byte in code.encode() + keys.ENTER]
        facts = {"view": view, "number": number, "keys": typed, "prompts": cells.prompts}
        assert facts == {"number": None, **case["expect"]}


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_give_a_screen(chunks: list[bytes]) -> None:
    cells = filled(chunks)
    row, column = cells.cursor
    assert 1 <= row <= ROWS
    assert 1 <= column <= 81
    assert all(len(cells.row(number)) == 80 for number in range(1, ROWS + 1))
    recognised(cells)
    assert shown(cells) == shown(filled([b"".join(chunks)]))


TOKENS = st.lists(
    st.sampled_from(
        [
            *(b"\x1b[", b"\x1b", b"7m", b"0m", b"2J", b"J", b"K", b"53;80H", b"1;1H", b";"),
            *(b"Voer code in", b"EXTRAMENU", b"IO status", b"  3-standen : 3", b"[17] 3-standen"),
            *(b"9" * 35 + b"H", b"A", b"B", b"C", b"D", b"\t", b"\x08", b"d", b"\r\n"),
        ]
    ),
    max_size=60,
)


@given(TOKENS, st.data())
def test_screens_do_not_depend_on_the_cut(tokens: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(tokens)
    cut = data.draw(st.integers(0, len(stream)))
    halves = filled([stream[:cut], stream[cut:]])
    assert shown(halves) == shown(filled([stream]))
    assert recognised(halves) == recognised(filled([stream]))
