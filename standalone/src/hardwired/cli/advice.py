"""What to do when nothing is to be had from a link, by its reason."""

from __future__ import annotations

from collections.abc import Mapping

from hardwired_engines.engine import Reason

_ADVICE: Mapping[Reason, str] = {
    Reason.NOT_FOUND: "check the name: 'hardwired ports' lists the ports and interfaces there are",
    Reason.BUSY: "stop the other program: 'hardwired ports' says who holds a port",
    Reason.NO_PERMISSION: "a serial port needs the group dialout ('sudo usermod -aG dialout $USER',"
    " then log in again), a capture CAP_NET_RAW",
    Reason.REFUSED: "check the port's number, and that the gateway serves",
    Reason.UNREACHABLE: "check the address and the network",
    Reason.DISCONNECTED: "check the cable and the adapter",
    Reason.SILENT: "not one byte arrives: check the wiring, the ground and the device's power",
    Reason.NOISE: "what arrives makes no sense: check the baud rate, and that it is this device",
    Reason.NO_ANSWER: "check that the device is on, and the wire on which we send",
}


def with_advice(text: str, reason: Reason | None) -> str:
    """Return what is wrong, and what to do about it where that is known."""
    advice = None if reason is None else _ADVICE.get(reason)
    return text if advice is None else f"{text}; {advice}" if text else advice
