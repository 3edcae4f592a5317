"""Recordings of real and simulated devices, whatever lies in ``tests/captures``, are replayed.

See tests/captures/README.md.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hardwired.cli.main import main
from hardwired_engines.factory import families

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
EXPECT = ".expect.json"


def recordings(folder: Path = CAPTURES) -> Iterator[Path]:
    """Yield every recording below a folder of families."""
    for family in families():
        for path in sorted((folder / family).rglob("*")):
            if path.is_file() and not path.name.endswith((EXPECT, ".md")):
                yield path


def fits(found: Any, wanted: Any) -> bool:
    """Return whether *found* has all that *wanted* says."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and fits(found[key], value) for key, value in wanted.items()
        )
    return bool(found == wanted)


def replay(path: Path, family: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what ``hardwired decode`` prints of a recording, after checking it."""
    capsys.readouterr()
    assert main(["decode", family, str(path)]) == 0, capsys.readouterr().err
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines, "nothing could be read"
    expect = path.with_name(path.name + EXPECT)
    if expect.exists():
        wanted = json.loads(expect.read_text(encoding="utf-8"))
        assert wanted.keys() <= {"lines", "holds", "never"}
        assert len(lines) == wanted.get("lines", len(lines))
        for part in wanted.get("holds", ()):
            assert any(fits(line, part) for line in lines), part
        for part in wanted.get("never", ()):
            assert not any(fits(line, part) for line in lines), part
    return lines


@pytest.mark.parametrize(
    "path", list(recordings()), ids=lambda path: path.relative_to(CAPTURES).as_posix()
)
def test_a_recording_is_replayed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replay(path, path.relative_to(CAPTURES).parts[0], capsys)


def test_what_lies_there_is_of_a_family() -> None:
    strange = {path.name for path in CAPTURES.iterdir() if path.is_dir()} - set(families())
    assert strange == set()
    assert len({path.relative_to(CAPTURES).parts[0] for path in recordings()}) >= 4


def test_whatever_is_put_there_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with any name, of a firmware that is new, with what it must say; or a wrong one."""
    folder = tmp_path / "truma" / "C5.01.00"
    folder.mkdir(parents=True)
    source = next(path for path in recordings() if path.suffix == ".log")
    shutil.copy(source, folder / "what the owner called it.txt")
    (path,) = recordings(tmp_path)
    lines = replay(path, "truma", capsys)
    expect = path.with_name(path.name + EXPECT)
    expect.write_text(json.dumps({"lines": len(lines), "holds": [lines[0]]}))
    replay(path, "truma", capsys)
    for wrong in ({"lines": 1}, {"holds": [{"signal": "no such"}]}, {"never": [lines[0]]}):
        expect.write_text(json.dumps(wrong))
        with pytest.raises(AssertionError):
            replay(path, "truma", capsys)
    expect.unlink()
    path.write_text("no recording\n")
    with pytest.raises(AssertionError):
        replay(path, "truma", capsys)
