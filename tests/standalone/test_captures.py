"""Recordings of real and simulated devices, whatever lies in ``tests/captures``, are replayed.

See tests/captures/README.md.
"""

from __future__ import annotations

import ipaddress
import json
import shutil
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from hardwired.cli.main import main
from hardwired_engines.engine import Direction, RecordedFrame
from hardwired_engines.factory import families
from hardwired_engines.recording import json_lines
from hardwired_engines.studer.scom.families import FAMILIES
from hardwired_engines.studer.scom.frame import ObjectType, Request, Service
from hardwired_engines.sunsynk.capture.packet import LinkType
from hardwired_engines.sunsynk.capture.packet_builder import TcpPacket
from hardwired_engines.sunsynk.capture.writer import PcapWriter
from hardwired_engines.sunsynk.dongle.envelope import FROM_DONGLE
from hardwired_engines.sunsynk.dongle.messages import MessageType

from .owners import identities

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


@pytest.mark.parametrize(
    "path", list(recordings()), ids=lambda path: path.relative_to(CAPTURES).as_posix()
)
def test_a_recording_does_not_identify_its_owner(path: Path) -> None:
    assert identities(path.read_bytes(), path.relative_to(CAPTURES).parts[0]) == []


def kept(*pieces: bytes) -> bytes:
    """Return a recording of what a device said."""
    frames = [RecordedFrame(datetime(2026, 1, 1, tzinfo=UTC), Direction.IN, one) for one in pieces]
    return json_lines(frames)


def fid() -> bytes:
    """Return the answer of an Xtender with a half of its serial number."""
    number = next(family.fid[1] for family in FAMILIES.values() if family.fid)
    request = Request(101, Service.READ, ObjectType.INFO, number, 1)
    return request.answer(struct.pack("<f", 4711.0)).encode()


def captured(data: bytes, server: str = "192.0.2.2", *, maker: bytes = b"") -> bytes:
    """Return a capture file with one packet, with a MAC address of a *maker* or none."""
    link_type = LinkType.ETHERNET if maker else LinkType.RAW
    packet = TcpPacket(
        source=ipaddress.IPv4Address("192.168.1.5"),
        destination=ipaddress.IPv4Address(server),
        source_port=50000,
        destination_port=51100,
        sequence=1,
        data=data,
        link_type=link_type,
    ).build()
    PcapWriter(file := BytesIO(), link_type).write(1, maker + packet[len(maker) :])
    return file.getvalue()


LOGIN = bytes((0xA5, 6, FROM_DONGLE, MessageType.LOGIN, 0, 0, 0, 0, 0, 0, 2)) + b"AB"
IDENTIFYING = {
    "studer-frame": ("studer", kept(fid())),
    "studer-dump": ("studer", b"< " + fid().hex(" ").encode()),
    "inventum-code": ("inventum", kept(b"Voer code in : ", b"1", b"9")),
    "inventum-screen": ("inventum", b"\x1b[1;1HVoer beveiligingscode in (31190) : \x1b[K4711"),
    "address": ("truma", b"# heard at 8.8.8.8\n0.0 D8 00"),
    "address-within": ("inventum", kept(b"server 8.8.", b"4.4 ")),
    "mac": ("truma", b"# from 00:1B:44:11:3A:B7\n"),
    "dongle": ("inventum", kept(b"E47122573327")),
    "message": ("sunsynk", captured(LOGIN)),
    "packet": ("sunsynk", captured(b"x", "8.8.8.8")),
    "frame": ("sunsynk", captured(b"x", maker=bytes.fromhex("001b44113ab7"))),
}


@pytest.mark.parametrize(("family", "raw"), IDENTIFYING.values(), ids=IDENTIFYING)
def test_what_identifies_an_owner_is_found(family: str, raw: bytes) -> None:
    assert identities(raw, family)


def test_what_identifies_nobody_is_none() -> None:
    assert identities(captured(b"x"), "sunsynk") == []
    assert (
        identities(kept(b"Voer code in : <code>\r\n1. Klok 192.168.0.7 192.0.2.1"), "inventum")
        == []
    )


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
