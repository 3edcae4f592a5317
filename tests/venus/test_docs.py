"""What the pages for device makers show works as it stands there."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mqtt_devices import tables
from mqtt_devices.options import plan, split_options
from mqtt_devices.status import NO_OPTIONS, Registration, Removal, judge

from .conftest import ROOT, Gx
from .observer import until

TABLES = tables.load()
PAGES = ("venus-devices.md", "protocol/venus-registration.md")


def status_messages(page: str) -> list[Any]:
    """Return every Status in a page, whatever language it is written in."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    text = re.sub(r'"\s*\n\s*"', "", text.replace('\\"', '"'))
    text = text.replace('"<id>"', '"id"')
    found = []
    for start in (match.start() for match in re.finditer(r'\{"clientId": ?"', text)):
        value, _ = json.JSONDecoder().raw_decode(text[start:])
        found.append(value)
    return found


def test_every_status_in_the_pages_is_taken() -> None:
    messages = [one for page in PAGES for one in status_messages(page)]
    assert len(messages) >= 6
    kinds = set()
    for message in messages:
        judged = judge(message, TABLES)
        kinds.add(type(judged))
        assert isinstance(judged, Registration | Removal), (message, judged)
        if isinstance(judged, Registration) and judged.options is not NO_OPTIONS:
            options, errors = split_options(judged.options, judged.services)
            assert not errors
            for key, kind in judged.services.items():
                assert not plan(TABLES.types[kind], options.get(key), TABLES).errors
    assert kinds == {Registration, Removal}


async def test_the_script_for_device_makers(gx: Gx, tmp_path: Path) -> None:
    page = (ROOT / "docs/venus-devices.md").read_text(encoding="utf-8")
    script = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert script is not None
    name, path = "com.victronenergy.switch.mqtt_cabin_sw", "/SwitchableOutput/mode/Dimming"
    async with gx(gateway=True) as seen:
        where = f'"127.0.0.1", {seen.rig.broker.port}'
        text = script[1].replace('"venus.local", 1883', where)
        assert where in text
        file, log = tmp_path / "cabin.py", tmp_path / "cabin.log"
        file.write_text(text)
        with log.open("wb") as output:
            device = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [sys.executable, file], stdout=output, stderr=output
            )
        try:
            await until(lambda: asyncio.sleep(0, "registered: {'sw': 1}" in log.read_text()))
            assert await seen.value(name, "/CustomName") == {"t": "s", "v": "Cabin"}
            assert await seen.set(name, path, {"t": "i", "v": 2}) == 0
            await seen.wait(lambda: [it for it in seen.messages if it.topic.endswith(path)])
            await until(lambda: asyncio.sleep(0, "mode/Dimming = 2" in log.read_text()))
            assert await seen.value(name, path) == {"t": "i", "v": 2}
        finally:
            device.kill()
            device.wait()
        await seen.wait(lambda: f"-{name}" in seen.names)  # its last will
