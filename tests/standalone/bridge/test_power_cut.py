"""Images of the running spool's folder, as a pulled plug leaves them, and a disk that is full.

The writer is stopped in the middle of whatever it does and its files are copied: what a disk holds
at that moment. What it wrote since its last sync may be torn (spec e.5, i.1: 4, 5).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hardwired.influx.spool import Unwritable, open_spool
from tests.standalone.bridge import killed_sink

pytestmark = pytest.mark.slow
IMAGES = 25
CLOSED_PORT = 1


def now() -> datetime:
    return datetime.now(UTC)


def numbers(path: Path) -> list[int]:
    """Return the points that a spool holds, in its order; the file must be sound."""
    opened = open_spool(path, 2**30, now)
    try:
        assert opened.damaged is None
        lines = [line for _, line in opened.spool.take(10_000_000, 2**40)]
        state = opened.spool.state
    finally:
        opened.spool.close()
    assert state.waiting == len(lines) == state.counters.accepted - state.counters.dropped
    return [int(line.split(" v=")[1].split()[0]) for line in lines]


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.001)


def told(process: subprocess.Popen[bytes], before: bytes) -> bytes:
    """Return all that the process has said so far."""
    assert process.stdout is not None
    found = os.read(process.stdout.fileno(), 1_000_000) if readable(process) else b""
    return before + found


def readable(process: subprocess.Popen[bytes]) -> bool:
    import select

    return bool(select.select([process.stdout], [], [], 0)[0])


def test_a_pulled_plug_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    chance = random.Random(12)
    folder = tmp_path / "state"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, killed_sink.__file__, str(folder / "s.db"), str(CLOSED_PORT), "0"],
        stdout=subprocess.PIPE,
    )
    images, said = [], b""
    try:
        while b"\n" not in said:
            said = told(process, said)
            time.sleep(0.01)
        for number in range(IMAGES):
            time.sleep(chance.uniform(0.005, 0.12))
            stop(process)
            said = told(process, said)
            accepted = int(said.split(b"\n")[-2])
            image = tmp_path / f"image{number}"
            shutil.copytree(folder, image)
            process.send_signal(signal.SIGCONT)
            images.append((image, accepted))
    finally:
        process.kill()
        process.wait()
    for image, accepted in images:
        (image / "s.db-shm").unlink(missing_ok=True)  # never synced
        wal = image / "s.db-wal"
        if chance.random() < 0.5 and wal.exists():  # the next transaction has begun, and is torn
            with wal.open("ab") as file:
                file.write(chance.randbytes(chance.randrange(1, 9000)))
        found = numbers(image / "s.db")
        assert found == list(range(len(found)))  # in order, none twice
        assert len(found) > accepted
    assert images[-1][1] > images[0][1] > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        pytest.skip("no right to mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_keeps_what_it_has_and_goes_on_with_more_room(small_disk: Path) -> None:
    path = small_disk / "s.db"
    opened = open_spool(path, 2**30, now)
    kept = 0
    with pytest.raises(Unwritable):
        for batch in range(1000):
            first = batch * 100
            opened.spool.append([f"m v={number} 1" for number in range(first, first + 100)])
            kept += 100
    assert kept
    assert opened.spool.state.waiting == kept
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    opened.spool.append(["m v=-1 1"])
    opened.spool.close()
    assert numbers(path) == [*range(kept), -1]
