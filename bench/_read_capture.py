"""Reads one capture in a process of its own and prints what it took, as JSON.

``python -m bench._read_capture ours FILE`` decodes everything with the engine,
``... scapy FILE PACKETS`` lets scapy's own reader parse so many packets.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path


def peak_mib() -> float:
    """Return the greatest resident size of this program.

    ``ru_maxrss`` also counts the process that started it, so the kernel's own mark is used.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(path: Path) -> dict[str, float]:
    """Decode a whole file: link layers, TCP, reports, all fields."""
    # Imported here, so that neither program has the other in memory.
    from datetime import UTC  # noqa: PLC0415

    from hardwired_engines.sunsynk.capture.pcap import CaptureFile  # noqa: PLC0415
    from hardwired_engines.sunsynk.pipeline.decoder import Decoder  # noqa: PLC0415

    decoder = Decoder(UTC)
    began, cpu = time.perf_counter(), time.process_time()
    with path.open("rb") as file:
        for _ in decoder.read(CaptureFile(file)):
            pass
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    counters = decoder.summary()
    return {
        "packets": counters["packets"],
        "reports": counters["reports"],
        "rejected": sum(counters["rejected"].values()),
        "seconds": seconds,
        "cpu_seconds": cpu,
    }


def scapy(path: Path, packets: int) -> dict[str, float]:
    """Let scapy read and dissect the first *packets*; nothing else is done with them."""
    from scapy.all import PcapReader  # noqa: PLC0415

    count = 0
    with PcapReader(str(path)) as reader:
        began, cpu = time.perf_counter(), time.process_time()
        for _ in reader:
            count += 1
            if count == packets:
                break
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"packets": count, "seconds": seconds, "cpu_seconds": cpu}


def main() -> None:
    """Measure what the arguments say."""
    path = Path(sys.argv[2])
    figures = ours(path) if sys.argv[1] == "ours" else scapy(path, int(sys.argv[3]))
    print(json.dumps({**figures, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
