"""Settings on the wire, byte for byte. Spec c.7, d.2, d.4, d.6, d.9."""

from __future__ import annotations

from typing import Any

import pytest

from hardwired.compat.inetbox.texts import Dialect, Kind, Language, Texts
from hardwired_engines.truma.inet.box import Box, Group
from hardwired_engines.truma.inet.buffers import UPLOADS
from hardwired_engines.truma.lin.frames import response
from hardwired_engines.truma.lin.transport import split
from tests.vector_files import cases

REQUEST = bytes.fromhex("ba001f001e000022ffffff")
POLL, ASK, TELL = (bytes((0, 0x55, pid)) for pid in (0xD8, 0x3C, 0x7D))

NAMES = {
    "target_temp_room": ("target_temp_room", Kind.TEMPERATURE),
    "target_temp_water": ("target_temp_water", Kind.WATER),
    "energy_mix": ("energy_mix", Kind.ENERGY_MIX),
    "el_power_level": ("el_power_level", Kind.POWER_LEVEL),
    "heating_mode": ("heating_mode", Kind.HEATING_MODE),
    "aircon_operating_mode": ("mode", Kind.AIRCON_MODE),
    "aircon_vent_mode": ("vent", Kind.AIRCON_VENT),
    "target_temp_aircon": ("target_temp", Kind.TEMPERATURE),
    "wall_time_hours": ("hours", None),
    "wall_time_minutes": ("minutes", None),
    "wall_time_seconds": ("seconds", None),
}
"""The vectors name the changes as the topics of the old programs do."""


def wish_of(case: dict[str, Any]) -> dict[str, int]:
    if "write" in case:
        return dict(case["write"])
    dialect, _, language = case["dialect"].partition("/")
    texts = Texts(Dialect(dialect), Language(language or "none"))
    wish = {}
    for topic, text in case["updates"].items():
        name, kind = NAMES[topic]
        wish[name] = int(text) if kind is None else int(texts.code(kind, text))
    return wish


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("truma", "uploads.json"))
def test_upload_vectors(case: dict[str, Any]) -> None:
    group = Group(case["group"])
    box = Box(counter=case["counter_before"], init_request=False)
    # No recording holds a timer's status together with an upload: all its fields are written.
    status = case.get("status_payload", bytes(24).hex())
    box.baselines[UPLOADS[group].baseline_id] = bytes.fromhex(status)
    box.command(1, group, wish_of(case), 0.0)
    now = 0.0

    def header(data: bytes) -> str:
        nonlocal now
        now += 0.05
        answer = box.receive(data, now)
        box.receive(answer, now + 0.01)
        return answer.hex()

    assert header(POLL) == case.get("pending_answer", "ff" * 8 + "27")
    for frame in split(3, REQUEST):
        assert header(ASK) == ""
        box.receive(response(0x3C, frame), now + 0.005)
    assert [header(TELL) for _ in range(7)] == case["frames"]
    assert box.counter == case["counter_after"]
    assert header(TELL) == ""
    assert header(POLL) == case.get("answer_after", "fe" + "ff" * 7 + "28")
