"""``hardwired ports``: serial ports, who holds them, which family they fit; capture interfaces."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardwired_engines.factory import factories

from ..output import emit

HELP = "list serial ports and network interfaces, who holds them, which family they fit"
EXAMPLES = ("hardwired ports", "hardwired ports --json")

_ADAPTERS: Mapping[int, str] = {
    0x0403: "FTDI adapter: Studer's Xcom-232i, a LIN transceiver",
    0x067B: "Prolific adapter: Studer's Xcom-232i",
    0x10C4: "CP210x adapter: a LIN transceiver, Studer's Xcom-232i",
    0x1A86: "CH340 adapter: a LIN transceiver",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON object a port")


def run(options: argparse.Namespace) -> int:
    """List them; returns the exit code."""
    found = [*serial_ports(), *capture_interfaces()]
    for port in found:
        if options.json:
            emit(port)
        else:
            sys.stdout.write(_for_people(port) + "\n")
    if not found and not options.json:
        sys.stdout.write("no serial port, no interface\n")
    return 0


def serial_ports() -> list[dict[str, Any]]:
    """Return the serial ports, by-id path first."""
    import serialx  # noqa: PLC0415 - only where ports are listed

    links = _by_id()
    holders = _holders()
    found = []
    for port in serialx.list_serial_ports():
        real = os.path.realpath(port.resolved_device or port.device)
        family, text = _fits(port.vid, port.pid)
        found.append(
            {
                "port": links.get(real, str(port.device)),
                "device": real,
                "usb": None if port.vid is None else f"{port.vid:04x}:{port.pid or 0:04x}",
                "description": port.product or port.interface_description,
                "manufacturer": port.manufacturer,
                "held_by": holders.get(real),
                "may_open": os.access(real, os.R_OK | os.W_OK),
                "family": family,
                "fits": text,
            }
        )
    return sorted(found, key=lambda one: (one["usb"] is None, one["port"]))


def _fits(vid: int | None, pid: int | None) -> tuple[str | None, str | None]:
    if vid is None:
        return None, None
    for family, factory in factories().items():
        if text := factory.usb_devices.get((vid, pid or 0)):
            return family, text
    return None, _ADAPTERS.get(vid)


def _by_id() -> dict[str, str]:
    folder = Path("/dev/serial/by-id")
    try:
        return {os.path.realpath(one): str(one) for one in sorted(folder.iterdir())}
    except OSError:
        return {}


def _holders() -> dict[str, str]:
    """Return which process has which serial device open, as far as we may look."""
    found: dict[str, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = list((process / "fd").iterdir())
            name = (process / "comm").read_text("utf-8", "replace").strip()
        except OSError:
            continue
        for file in files:
            try:
                target = os.readlink(file)  # noqa: PTH115 - no Path of a deleted file
            except OSError:
                continue
            if target.startswith("/dev/tty"):
                found[target] = f"{name} (process {process.name})"
    return found


def capture_interfaces() -> list[dict[str, Any]]:
    """Return the network interfaces, and whether packets may be captured."""
    may = _may_capture()
    found = []
    for _, name in socket.if_nameindex():
        try:
            state = Path(f"/sys/class/net/{name}/operstate").read_text("ascii").strip()
        except OSError:
            state = "unknown"
        found.append({"interface": name, "state": state, "may_capture": may, "family": "sunsynk"})
    return found


def _may_capture() -> bool:
    if not hasattr(socket, "AF_PACKET"):
        return False
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError:
        return False
    return True


def _for_people(port: Mapping[str, Any]) -> str:
    if "interface" in port:
        may = "" if port["may_capture"] else ", no right to capture (CAP_NET_RAW)"
        return f"interface {port['interface']}: {port['state']}{may}"
    told = [port["usb"], port["description"], port["manufacturer"], port["fits"]]
    words = ", ".join(str(one) for one in told if one)
    if port["held_by"]:
        words += f", held by {port['held_by']}"
    if not port["may_open"]:
        words += ", no right to open it (group dialout)"
    return f"{port['port']}: {words or 'serial port'}"
