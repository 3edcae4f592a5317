"""What the command line offers for Truma heaters behind a CP Plus panel."""

from __future__ import annotations

from collections.abc import Mapping

HELP: Mapping[str, str] = {
    "decode": "say what a recording of the LIN bus means, one JSON object a line",
    "record": "listen to the LIN bus and write down every slot",
    "probe": "take part in the LIN bus for a while and say what is heard",
    "replay": "play a recorded LIN bus: the panel's headers and all answers but the box's",
    "set": "change settings of the heater or the air conditioner",
    "simulate": "play a CP Plus with a Combi and an air conditioner on the LIN bus",
}
"""What each verb does."""

PORT_HELP = (
    "a serial port with a LIN transceiver, sim://, or for listening only socket://HOST:PORT,"
    " rfc2217://HOST:PORT, esphome://..."
)
