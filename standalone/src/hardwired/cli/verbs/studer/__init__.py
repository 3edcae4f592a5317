"""What the command line offers for Studer plants behind an Xcom-232i or an Xcom-LAN."""

from __future__ import annotations

from collections.abc import Mapping

HELP: Mapping[str, str] = {
    "decode": "say what the frames of a recording mean, one JSON object a line",
    "record": "read a plant and write down every frame, without identities",
    "probe": "find the link's settings and all devices, one JSON object a line",
    "search": "look on the network for the Moxa of an Xcom-LAN, one JSON object a line",
    "read": "read datapoints of one device, one JSON object a line",
    "write": "write a parameter of one device, into RAM",
    "replay": "play a recorded gateway: each request is answered as it was then",
    "simulate": "play an Xcom with a whole plant behind it; faults by --fault or as JSON lines "
    "on stdin",
}
"""What each verb does."""
