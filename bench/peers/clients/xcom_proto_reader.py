"""Reads a plant with xcom-proto; run as ``python xcom_proto_reader.py PORT SECONDS ORDER``.

The library sets no time-out on its connection and would wait for a lost answer for ever; it is
given one here, as a careful owner would.
"""

from __future__ import annotations

import sys
import time

from line import Reader
from xcom_proto import XcomC, XcomLANTCP

TIMEOUT = 3.0
GIVE_UP_AFTER = 20


def main() -> None:
    reader = Reader.from_arguments(sys.argv)
    while reader.goes_on:
        with XcomLANTCP(port=reader.port) as xcom:
            xcom.conn.settimeout(TIMEOUT)
            failed = 0
            for number, address in reader.questions():
                try:
                    value = xcom.getValueByID(number, XcomC.TYPE_FLOAT, dstAddr=address)
                except Exception as error:  # noqa: BLE001 - whatever the library raises
                    reader.failed(error)
                    failed += 1
                    time.sleep(0.05)
                else:
                    reader.shown(address, number, value)
                    failed = 0
                if failed == GIVE_UP_AFTER:
                    break
    reader.end()


main()
