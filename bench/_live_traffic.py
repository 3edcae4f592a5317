"""Sends other packets at a steady rate, and reports among them, on an interface.

``python -m bench._live_traffic INTERFACE PACKETS_PER_S SECONDS`` prints what was sent as JSON.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from datetime import UTC, timedelta
from random import Random

from hardwired_engines.sunsynk.simulator.dongle import Dongle

from . import _traffic

SLICE = 0.002
SIZE = 1000


def main() -> None:
    """Send what the arguments say."""
    interface, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    random = Random(1)
    dongle = Dongle("2200000001", UTC)
    data = random.randbytes(SIZE - 66)
    others = [
        _traffic.ipv4(
            bytes((192, 168, 0, 30 + number)),
            bytes((93, 184, 0, number)),
            6,
            _traffic.tcp((40000 + number, 443), random.randrange(1 << 32), 0x18, data),
        )
        for number in range(50)
    ]
    sent = {"other_packets": 0, "reports": 0}
    sequence, ports = 1000, (50586, _traffic.SERVER_PORT)
    count = int(rate * seconds / _traffic.PACKETS_PER_REPORT)
    frames = [dongle.report(_traffic.START + timedelta(minutes=5 * at)) for at in range(count)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((interface, 0))
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            due = int(min(passed, seconds) * rate)
            while sent["other_packets"] < due:
                wire.send(others[sent["other_packets"] % len(others)])
                sent["other_packets"] += 1
                if sent["other_packets"] % _traffic.PACKETS_PER_REPORT == 0 and frames:
                    frame = frames.pop(0)
                    segment = _traffic.tcp(ports, sequence, 0x18, frame)
                    ends = _traffic.DONGLE_ADDRESS, _traffic.SERVER_ADDRESS
                    wire.send(_traffic.ipv4(*ends, 6, segment))
                    sequence += len(frame)
                    sent["reports"] += 1
            time.sleep(SLICE)
        took = time.perf_counter() - began
    print(json.dumps({**sent, "seconds": took}))


if __name__ == "__main__":
    main()
