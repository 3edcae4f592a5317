"""Makes a pair of interfaces in the namespace it runs in, lets traffic pass, counts the reports.

``python -m bench._live_receiver PACKETS_PER_S SECONDS EXPRESSION`` prints the figures as JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC

from hardwired_engines.clock import SystemClock
from hardwired_engines.sunsynk.capture.bpf import tcp_program
from hardwired_engines.sunsynk.capture.filter import parse_filter
from hardwired_engines.sunsynk.capture.live import CookedPacket, LiveCapture, LiveSettings
from hardwired_engines.sunsynk.pipeline.decoder import Decoder

from ._read_capture import peak_mib

SENDING, HEARING = "bench0", "bench1"
SETTLING = 1.0


def make_interfaces() -> None:
    """Connect two interfaces with each other and set them up."""
    pair = ["add", SENDING, "type", "veth", "peer", "name", HEARING]
    ups = [["set", name, "up"] for name in (SENDING, HEARING)]
    for arguments in (pair, *ups):
        subprocess.run(["ip", "link", *arguments], check=True)


async def measure(rate: int, seconds: float, expression: str) -> dict[str, float]:
    """Return what was sent, what was heard, and what that cost this process."""
    wanted = parse_filter(expression)
    decoder = Decoder(UTC)
    reports = 0

    def on_packets(packets: Sequence[CookedPacket]) -> None:
        nonlocal reports
        frames = decoder.capture.take_network(time.time_ns(), packets)
        reports += len(decoder.frames(frames))

    live = LiveCapture(
        LiveSettings(HEARING, tcp_program(wanted.host, wanted.port)),
        SystemClock(),
        on_packets=on_packets,
        on_trouble=lambda _trouble: None,
        on_restart=lambda: None,
    )
    task = asyncio.ensure_future(live.run())
    await asyncio.sleep(SETTLING)
    command = [sys.executable, "-m", "bench._live_traffic", SENDING, str(rate), str(seconds)]
    sender = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    cpu, began = time.process_time(), time.perf_counter()
    output, _ = await sender.communicate()
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    await asyncio.sleep(SETTLING)
    task.cancel()
    await asyncio.wait([task])
    sent = json.loads(output)
    return {
        "other_packets_per_s": round(sent["other_packets"] / sent["seconds"]),
        "seconds": round(sent["seconds"], 2),
        "reports_sent": sent["reports"],
        "reports_received": reports,
        "reports_lost": sent["reports"] - reports,
        "packets_that_woke_python": decoder.capture.packets,
        "cpu_percent_of_one_core": round(100 * cpu / took, 2),
        "peak_mib": round(peak_mib(), 1),
    }


def main() -> None:
    """Measure what the arguments say."""
    make_interfaces()
    figures = asyncio.run(measure(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
