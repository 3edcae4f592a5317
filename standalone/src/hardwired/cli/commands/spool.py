"""``hardwired spool list|export|requeue|drop CONFIG SINK``: what waits, what was set aside."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from ...bridge.state import state_folder
from ...influx.spool import DiskSpool, SpoolError, damaged_files
from ..output import emit, tell
from .config_file import UNUSABLE, NoConfig, read_file, tell_complaints

HELP = "look at the points of an InfluxDB sink that wait or were set aside"
EXAMPLES = (
    "hardwired spool list /etc/hardwired/CONFIG.toml grafana",
    "hardwired spool export CONFIG.toml grafana > points.txt",
)
_MANY = 2**40


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("action", choices=("list", "export", "requeue", "drop"))
    parser.add_argument("config", type=Path, metavar="CONFIG")
    parser.add_argument("sink", metavar="SINK")
    parser.add_argument("--waiting", action="store_true", help="drop what waits, not what is aside")
    parser.add_argument("--yes", action="store_true", help="drop without asking")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    try:
        config = read_file(options.config)
    except NoConfig:
        return UNUSABLE
    if not config.ok:
        tell_complaints(options.config, config, quiet=True)
        return UNUSABLE
    settings = config.value["sinks"].get(options.sink)
    if settings is None or settings["type"] != "influxdb":
        tell(f"hardwired: {options.sink!r} is no InfluxDB sink of {options.config}")
        return 2
    folder = state_folder(config.value["bridge"]["state_dir"])
    path = Path(settings["spool"] or folder / f"spool-{options.sink}.db")
    if not path.exists():
        tell(f"hardwired: there is no spool {path}")
        return 1
    try:
        return _act(options, path, settings["spool_size"])
    except SpoolError as error:
        tell(f"hardwired: {path}: {error}")
        return 1


def _act(options: argparse.Namespace, path: Path, size: int) -> int:
    spool = DiskSpool(path, size, owner=False)
    try:
        match options.action:
            case "list":
                _list(options, spool, path)
            case "export":
                for _, line in spool.behind(0, _MANY):
                    sys.stdout.write(f"{line}\n")
                for *_, line in spool.aside():
                    sys.stdout.write(f"{line}\n")
            case "requeue":
                tell(f"{spool.requeue()} points are in the queue again")
            case _:
                return _drop(options, spool)
    finally:
        spool.close()
    return 0


def _list(options: argparse.Namespace, spool: DiskSpool, path: Path) -> None:
    state, aside = spool.state, spool.aside()
    reasons: dict[str, int] = {}
    for _, _, why, _ in aside:
        reasons[why] = reasons.get(why, 0) + 1
    told = {
        "spool": str(path),
        "waiting": state.waiting,
        "bytes": state.size,
        "oldest": _moment(state.oldest),
        "accepted": state.counters.accepted,
        "delivered": state.counters.delivered,
        "dropped": state.counters.dropped,
        "refused": state.counters.refused,
        "set_aside": reasons,
        "damaged": [str(one) for one in damaged_files(path)],
    }
    if options.json:
        emit(told)
        return
    print(f"{path}: {state.waiting} points wait, {state.size} bytes")
    if told["oldest"]:
        print(f"the oldest is of {told['oldest']}")
    for why, count in reasons.items():
        print(f"{count} set aside: {why}")
    for one in damaged_files(path):
        print(f"could not be read and was set aside: {one}")


def _drop(options: argparse.Namespace, spool: DiskSpool) -> int:
    what = "what waits" if options.waiting else "what was set aside"
    count = spool.state.waiting if options.waiting else len(spool.aside())
    if not options.yes:
        tell(f"Throw away {what}, {count} points? Type yes:")
        if sys.stdin.readline().strip() != "yes":
            tell("nothing was thrown away")
            return 1
    tell(f"{spool.drop(waiting=options.waiting)} points were thrown away")
    return 0


def _moment(line: str | None) -> str | None:
    try:
        return datetime.fromtimestamp(int((line or "").rsplit(" ", 1)[1]) / 1e9, UTC).isoformat()
    except (IndexError, ValueError, OverflowError):
        return None
