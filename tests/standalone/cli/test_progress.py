"""How far something is (spec a.2): on a terminal only, not at once, not too often."""

from __future__ import annotations

import io

from hardwired.cli.progress import ProgressLine, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_how_far_and_how_long_still() -> None:
    now, stream = [0.0], Terminal()
    line = ProgressLine(stream, lambda: now[0])
    line.show("van", 0.1)
    now[0] = 0.9
    line.show("van", 0.2)
    assert stream.getvalue() == ""  # it may be over soon
    now[0] = 5.0
    line.show("van", 0.25)
    assert stream.getvalue() == "\rvan [#####               ] 25%, 15 s left"
    now[0] = 5.1
    line.show("van", 0.26)
    assert stream.getvalue().count("\r") == 1  # at most five times a second
    now[0] = 9.0
    line.show("van", 2.0)
    assert stream.getvalue().endswith("] 100%, 0 s left")
    line.clear()
    assert stream.getvalue().endswith(" \r")
    length = len(stream.getvalue())
    line.clear()
    assert len(stream.getvalue()) == length


def test_not_where_nobody_looks() -> None:
    now, stream = [0.0], io.StringIO()
    line = ProgressLine(stream, lambda: now[0])
    now[0] = 100.0
    line.show("van", 0.5)
    line.clear()
    assert stream.getvalue() == ""


async def test_a_block_leaves_nothing_behind() -> None:
    stream = Terminal()
    async with progress("van", 10, ProgressLine(stream)):
        pass
    assert stream.getvalue() == ""
