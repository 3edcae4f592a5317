"""Reads a plant with pystuderxcom; run as ``python pystuderxcom_reader.py PORT SECONDS ORDER``."""

from __future__ import annotations

import asyncio
import sys

from line import Reader
from pystuderxcom import AsyncXcomApiTcp, XcomApiTcpMode, XcomDataset, XcomVoltage


async def main() -> None:
    reader = Reader.from_arguments(sys.argv)
    dataset = await XcomDataset.async_get_instance(XcomVoltage.AC240, XcomVoltage.DC48)
    points = {number: dataset.get_by_nr(number, "xt") for number in reader.numbers}
    api = AsyncXcomApiTcp(mode=XcomApiTcpMode.SERVER, listen_port=reader.port)
    await api.start()
    for number, address in reader.questions():
        try:
            value = await api.request_value(points[number], address)
        except Exception as error:  # noqa: BLE001 - whatever the library raises
            reader.failed(error)
            await asyncio.sleep(0.05)
        else:
            if value is not None:
                reader.shown(address, number, value)
    reader.end()


asyncio.run(main())
