"""What a recording leaves out, and what it must leave whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hardwired_engines.engine import Direction, RecordedFrame
from hardwired_engines.recording import without_secrets
from hardwired_engines.studer.scom.frame import read_info


def recorded(data: bytes, secrets: list[str], names: list[str]) -> bytes:
    frame = RecordedFrame(datetime(2026, 1, 1, tzinfo=UTC), Direction.IN, data)
    [kept] = without_secrets([frame], secrets, names)
    return kept.data


@pytest.mark.parametrize(
    ("data", "secrets", "names", "kept"),
    [
        (b"host pi, login hunter2", ["pi", "hunter2"], [], b"host XX, login XXXXXXX"),
        (b"hunter2hunter2", ["hunter2"], [], b"X" * 14),
        (b"epic", ["pi", ""], ["ep"], b"epic"),
        (b"Anna's van", [], ["Anna"], b"XXXX's van"),
    ],
)
def test_secrets_are_overwritten(
    data: bytes, secrets: list[str], names: list[str], kept: bytes
) -> None:
    assert recorded(data, secrets, names) == kept


def test_a_host_of_a_letter_spoils_no_frame() -> None:
    """104 is an ``h``: the address of the fourth Xtender."""
    frame = read_info(104, 0x6868).answer(b"hhhh").encode()
    assert recorded(frame, ["h", "hh"], []) == frame
