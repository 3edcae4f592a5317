"""The codecs against the golden vectors of the spec."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from hardwired_engines.studer import moxa
from hardwired_engines.studer.datapoints.datapoint import by_id
from hardwired_engines.studer.datapoints.limits import LimitError, encode_checked, limits_of
from hardwired_engines.studer.datapoints.plausibility import check
from hardwired_engines.studer.scom import messages, multi_info
from hardwired_engines.studer.scom.errors import ErrorCode, error_name, remedy
from hardwired_engines.studer.scom.families import FAMILIES, Family
from hardwired_engines.studer.scom.frame import Frame, FrameFlags, Level, Request, Service, checksum
from hardwired_engines.studer.scom.matching import mismatch
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.scom.values import (
    Format,
    FormatError,
    decode,
    encode,
    factory_id,
    hardware_version,
    software_version,
)
from tests.vector_files import cases, load

pytestmark = pytest.mark.vectors


def number(value: Any) -> Any:
    """Return a value of a vector; NaN and infinities are written as texts there."""
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def shown(value: Any) -> Any:
    """Return a decoded value as the vectors write it; bytes are in hex there."""
    return value.hex() if isinstance(value, bytes) else value


def same(one: Any, other: Any) -> bool:
    """Compare so that NaN equals itself and True is not 1."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


def parse(data: str) -> Frame:
    (frame,) = Parser().receive_data(bytes.fromhex(data))
    return frame


def request_of(fields: dict[str, Any]) -> Request:
    return Request(
        fields["dst"],
        Service(fields["service"]),
        fields["object_type"],
        fields["object_id"],
        fields["property_id"],
        bytes.fromhex(fields.get("data", "")),
        fields["src"],
    )


@pytest.mark.parametrize("case", cases("studer", "captures.json", "captures"))
def test_captures(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["frame"])
    parser = Parser()
    (frame,) = parser.receive_data(raw)
    assert frame.encode() == raw
    assert parser.counters.bytes_discarded == 0
    body = frame.body()
    assert body is not None
    assert body.is_response is (case["direction"] == "from device")
    if body.is_response:
        assert Request.of(frame) is None
    else:
        request = Request.of(frame)
        assert request is not None
        assert request.encode() == raw
    if "value" in case:
        assert decode(Format.FLOAT, body.data) == case["value"]


@pytest.mark.parametrize("case", cases("studer", "checksum.json"))
def test_checksum(case: dict[str, Any]) -> None:
    assert checksum(bytes.fromhex(case["hex"])).hex() == case["checksum"]


@pytest.mark.parametrize("case", cases("studer", "requests.json"))
def test_requests(case: dict[str, Any]) -> None:
    assert request_of(case).encode().hex() == case["frame"]


@pytest.mark.parametrize("case", cases("studer", "frames.json"))
def test_frames(case: dict[str, Any]) -> None:
    frame = parse(case["frame"])
    body = frame.body()
    assert body is not None
    assert {
        "frame_flags": frame.flags,
        "src": frame.source,
        "dst": frame.destination,
        "data_length": len(frame.data),
        "service_flags": body.service_flags,
        "is_response": body.is_response,
        "is_error": body.is_error,
        "service_id": body.service,
        "object_type": body.object_type,
        "object_id": body.object_id,
        "property_id": body.property_id,
        "property_data": body.data.hex(),
    }.items() <= {**case, "note": None}.items()
    if "error_code" in case:
        assert body.error_code == case["error_code"]
        assert error_name(case["error_code"]) == case["error_name"]
    if "value" in case:
        assert same(shown(decode(Format(case["format"]), body.data)), number(case["value"]))


@pytest.mark.parametrize("case", cases("studer", "values.json"))
def test_values(case: dict[str, Any]) -> None:
    wire_format, data = Format(case["format"]), bytes.fromhex(case["hex"])
    if "error" in case:
        with pytest.raises(FormatError) as error:
            decode(wire_format, data)
        assert error.value.key == case["error"]
        return
    value = decode(wire_format, data)
    assert same(shown(value), number(case["value"]))
    if not (isinstance(value, float) and math.isnan(value)):
        assert encode(wire_format, value) == data


@pytest.mark.parametrize("case", cases("studer", "stream.json"))
def test_stream(case: dict[str, Any]) -> None:
    parser = Parser()
    frames: list[Frame] = []
    for event in case["events"]:
        frames += (
            parser.flush()
            if event.get("idle")
            else parser.receive_data(bytes.fromhex(event["feed"]))
        )
    counters = parser.counters
    assert {
        "frames": [frame.encode().hex() for frame in frames],
        "bytes_discarded": counters.bytes_discarded,
        "pending": parser.pending,
        "header_errors": counters.header_errors,
        "length_errors": counters.length_errors,
        "data_errors": counters.data_errors,
    } == case["expect"]


@pytest.mark.parametrize("case", cases("studer", "stream.json", "split_at_every_byte"))
def test_stream_split_at_every_byte(case: dict[str, Any]) -> None:
    stream = bytes.fromhex(case["stream"])
    for cut in range(len(stream) + 1):
        parser = Parser()
        frames = parser.receive_data(stream[:cut]) + parser.receive_data(stream[cut:])
        assert [frame.encode().hex() for frame in frames] == case["frames"], cut


@pytest.mark.parametrize("case", cases("studer", "matching.json"))
def test_matching(case: dict[str, Any]) -> None:
    wire_format = None if case["format"] is None else Format(case["format"])
    rejection = mismatch(request_of(case["request"]), parse(case["frame"]), wire_format)
    assert (rejection or "accept") == case["expect"]


@pytest.mark.parametrize("case", cases("studer", "multi_info.json", "requests"))
def test_multi_info_requests(case: dict[str, Any]) -> None:
    items = [multi_info.Item(*item) for item in case["items"]]
    request = multi_info.request(items, case["property_id"])
    assert request.encode().hex() == case["frame"]
    assert list(multi_info.decode_request(request.data)) == items


@pytest.mark.parametrize("case", cases("studer", "multi_info.json", "responses"))
def test_multi_info_responses(case: dict[str, Any]) -> None:
    body = parse(case["frame"]).body()
    assert body is not None
    answer = multi_info.decode(body.data)
    flags = multi_info.PlantFlags
    assert {
        "property_id": body.property_id,
        "flags": answer.flags,
        "version": answer.version,
        "gsm": bool(answer.flags & flags.GSM),
        "xt_present": bool(answer.flags & flags.XT_PRESENT),
        "bsp_present": bool(answer.flags & flags.BSP_PRESENT),
        "vt_present": bool(answer.flags & flags.VT_PRESENT),
        "vs_present": bool(answer.flags & flags.VS_PRESENT),
        "timestamp": answer.timestamp,
    }.items() <= {**case, "frame": None, "items": None}.items()
    assert [[*item, value] for item, value in answer.items] == case["items"]
    assert multi_info.encode(answer) == body.data


@pytest.mark.parametrize("case", cases("studer", "multi_info.json", "bad_responses"))
def test_multi_info_bad_responses(case: dict[str, Any]) -> None:
    frame = parse(case["frame"])
    body = frame.body()
    assert body is not None
    request = Request(
        frame.source, Service.READ, body.object_type, body.object_id, body.property_id
    )
    rejection = mismatch(request, frame, None)
    if case["expect"].startswith("error"):
        assert rejection is None
        assert body.error_code == int(case["expect"].split()[1], 16)
    else:
        assert rejection == case["expect"]
        whole = len(body.data) >= 8 and (len(body.data) - 8) % 7 == 0
        if not (body.is_error and whole):
            with pytest.raises(ValueError, match="multi-info"):
                multi_info.decode(body.data)


@pytest.mark.parametrize("case", cases("studer", "services.json", "messages"))
def test_messages(case: dict[str, Any]) -> None:
    body = parse(case["frame"]).body()
    assert body is not None
    message = messages.decode(body.data)
    assert body.object_id == case["index"]
    assert message.total == case["total"]
    assert message.number == case["message"]
    assert message.source == case["source"]
    assert message.timestamp == case["timestamp"]
    assert message.time.isoformat() == case["local_time"]
    assert message.value.hex() == case["value"]
    assert message.encode() == body.data


@pytest.mark.parametrize("case", cases("studer", "services.json", "guid"))
def test_guid(case: dict[str, Any]) -> None:
    body = parse(case["frame"]).body()
    assert body is not None
    assert decode(Format.GUID, body.data) == case["guid"]


@pytest.mark.parametrize("case", cases("studer", "services.json", "software_version"))
def test_software_version(case: dict[str, Any]) -> None:
    assert software_version(case["msb"], case["lsb"]) == case["version"]


@pytest.mark.parametrize("case", cases("studer", "services.json", "fid"))
def test_fid(case: dict[str, Any]) -> None:
    assert factory_id(case["msb"], case["lsb"]) == case["fid"]


@pytest.mark.parametrize("case", cases("studer", "services.json", "hardware"))
def test_hardware(case: dict[str, Any]) -> None:
    assert hardware_version(case["id_hw"], case["id_hw_pwr"]) == case["hardware"]


@pytest.mark.parametrize("case", cases("studer", "services.json", "frame_flags"))
def test_frame_flags(case: dict[str, Any]) -> None:
    flags = case["flags"]
    for name in FrameFlags.__members__:
        assert bool(flags & FrameFlags[name]) is case[name.lower()], name


@pytest.mark.parametrize("case", cases("studer", "gate.json"))
def test_gate(case: dict[str, Any]) -> None:
    point = by_id(Family(case["family"]), case["info"])
    assert point is not None
    value = number(case["value"])
    absence = check(point, value, case["nominal_battery"])
    if "absent" in case["expect"]:
        assert absence == case["expect"]["absent"]
    else:
        assert absence is None
        assert value == case["expect"]["value"]


@pytest.mark.parametrize("case", cases("studer", "limits.json"))
def test_limits(case: dict[str, Any]) -> None:
    point = by_id(Family(case["family"]), case["param"])
    assert point is not None
    limits = limits_of(point, case["nominal_battery"], case["ac"])
    if "error" in case["expect"]:
        with pytest.raises(LimitError) as error:
            encode_checked(point, number(case["value"]), limits)
        assert error.value.key == case["expect"]["error"]
    else:
        data = encode_checked(point, number(case["value"]), limits)
        assert data.hex() == case["expect"]["data"]


def test_moxa() -> None:
    vectors = load("studer", "moxa.json")
    found: moxa.Moxa | None = None
    for exchange in vectors["exchanges"]:
        response = bytes.fromhex(exchange["response"])
        if exchange["step"] == "search":
            assert moxa.SEARCH.hex() == exchange["request"]
            found = moxa.decode_search(response)
            assert found is not None
            assert (found.mac, found.ip) == (exchange["mac"], exchange["ip"])
        assert found is not None
        if exchange["step"] == "name":
            assert moxa.ask_name(found).hex() == exchange["request"]
            assert moxa.decode_name(response) == exchange["name"]
        if exchange["step"] == "network":
            assert moxa.ask_network(found).hex() == exchange["request"]
            assert moxa.decode_network(response) == moxa.Network(
                exchange["ip"], exchange["mask"], exchange["gateway"]
            )


@pytest.mark.parametrize("case", cases("studer", "moxa.json", "ignore"))
def test_moxa_ignores(case: dict[str, Any]) -> None:
    assert moxa.decode_search(bytes.fromhex(case["hex"])) is None


@pytest.mark.parametrize("case", cases("studer", "timing.json", "rows"))
def test_timing(case: dict[str, Any]) -> None:
    """The sizes of real frames are the ones that the table of wire times reckons with."""
    read = Request(101, Service.READ, 1, 3000, 1)
    kind = case["exchange"]
    size = re.fullmatch(r"(read|write), (\d+)-byte value", kind)
    if size is not None:
        name, length = size[1], int(size[2])
        write = Request(101, Service.WRITE, 2, 1138, 13, bytes(length))
        request = read if name == "read" else write
        answer = read.answer(bytes(length)) if name == "read" else write.answer()
        sizes = (len(request.encode()), len(answer.encode()))
    elif kind.startswith("multi info"):
        count = int(kind.split(",")[1])
        request = multi_info.request([multi_info.Item(3000, 1)] * count, 1)
        sizes = (len(request.encode()), len(request.answer(bytes(8 + 7 * count)).encode()))
    else:
        request, answer = {
            "error answer": (read, read.error(2)),
            "message": (read, read.answer(bytes(messages.SIZE))),
        }[kind]
        sizes = (len(request.encode()), len(answer.encode()))
    assert sizes == (case["tx_bytes"], case["rx_bytes"])
    wire = sum(sizes) * case["bits_per_byte"] / case["baud"] * 1000
    assert wire == pytest.approx(case["wire_ms"], abs=0.005)


def test_the_tables_hold_what_the_protocol_file_says() -> None:
    protocol = load("studer", "protocol.json")
    assert {error["code"]: error["name"] for error in protocol["errors"]} == {
        code.value: code.name for code in ErrorCode
    }
    for error in protocol["errors"]:
        assert (remedy(error["code"]) in ("retry", "wait")) is error["retry"], error
    assert {int(rank): name for rank, name in protocol["levels"].items()} == {
        level.value: level.name.lower() for level in Level
    }
    for family in protocol["families"]:
        info = FAMILIES[Family(family["family"])]
        assert (info.first, info.last, info.multicast) == (
            family["first"],
            family["last"],
            family["multicast"],
        )


def test_the_table_of_datapoints_is_the_spec_s() -> None:
    for entry in load("studer", "datapoints.json")["datapoints"]:
        if entry["kind"] == "menu":
            continue
        point = by_id(Family(entry["family"]), entry["id"])
        assert point is not None, entry
        assert point.key == entry["key"]
        assert point.wire_format == entry["format"]
        assert point.writable is entry["writable"]
        assert point.guarded is entry.get("guarded", False)
        assert point.signal is entry.get("signal", False)
        assert {str(choice.wire): choice.label for choice in point.choices} == entry.get("enum", {})
        assert (point.plausible or ()) == tuple(entry.get("plausible", ()))
        assert point.shown.tier == entry["ha"]["tier"]


@pytest.mark.parametrize("entry", cases("studer", "messages.json", "messages"))
def test_message_texts(entry: dict[str, Any]) -> None:
    meaning = messages.meaning(entry["id"])
    assert (meaning.severity, meaning.text) == (entry["severity"], entry["text"])
    assert meaning.topology == entry.get("topology")
