"""Any bytes, in any pieces: the decoders answer or refuse, and never crash."""

from __future__ import annotations

import math
import random
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.studer import moxa
from hardwired_engines.studer.datapoints.datapoint import datapoints
from hardwired_engines.studer.datapoints.limits import LimitError, encode_checked
from hardwired_engines.studer.datapoints.plausibility import check
from hardwired_engines.studer.scom import messages, multi_info
from hardwired_engines.studer.scom.exchange import Exchange
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.files import Transfer, file_names
from hardwired_engines.studer.scom.frame import (
    Body,
    Frame,
    ObjectType,
    Request,
    Service,
    checksum,
    read_info,
)
from hardwired_engines.studer.scom.matching import Rejection, mismatch
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.scom.redaction import mask
from hardwired_engines.studer.scom.values import (
    Format,
    FormatError,
    decode,
    encode,
    plant_seconds,
    plant_time,
    shortest,
)

POINTS = [point for family in Family for point in datapoints(family)]

requests = st.builds(
    Request,
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from(Service),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFF),
    st.binary(max_size=230),
)
frames = st.builds(
    Frame,
    st.integers(0, 255),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(min_size=2, max_size=300),
)


@given(st.binary(max_size=300))
def test_the_checksum_is_the_two_running_sums(data: bytes) -> None:
    a, b = 0xFF, 0
    for byte in data:
        a = (a + byte) & 0xFF
        b = (b + a) & 0xFF
    assert checksum(data) == bytes((a, b))


@given(st.binary(max_size=120), st.integers(0, 119), st.integers(1, 255))
def test_a_single_wrong_byte_is_always_found(data: bytes, place: int, change: int) -> None:
    if place < len(data):
        broken = bytearray(data)
        broken[place] = (broken[place] + change) & 0xFF
        assert checksum(broken) != checksum(data)


@given(frames)
def test_frames_survive_the_wire(frame: Frame) -> None:
    assert Parser().receive_data(frame.encode()) == [frame]


SECRET = b"\x53\x45\x43\x52\x45\x54\x21\x21\x07"


@pytest.mark.parametrize(
    "asked",
    [read_info(101, 3156), read_info(601, 7049), Request(501, Service.READ, 4, 0, 0),
     multi_info.request([multi_info.Item(3156, 1)], 7)],
    ids=["FID", "FID of a monitor", "GUID", "multi-info"],
)  # fmt: skip
@pytest.mark.parametrize("more", range(8))
def test_an_identity_is_masked_whatever_its_length(asked: Request, more: int) -> None:
    masked = mask(asked.answer(SECRET + bytes(more)))
    assert len(masked.data) == 10 + len(SECRET) + more
    if asked.object_type != ObjectType.MULTI_INFO or (1 + more) % 7:
        assert SECRET[:4] not in masked.data


@given(requests)
def test_requests_survive_the_wire(request: Request) -> None:
    (frame,) = Parser().receive_data(request.encode())
    assert Request.of(frame) == request


@given(st.lists(st.one_of(st.binary(max_size=60), frames.map(Frame.encode)), max_size=8), st.data())
def test_the_parser_finds_the_same_in_any_pieces(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    whole = Parser()
    expected = whole.receive_data(stream) + whole.flush()
    split = Parser()
    found: list[Frame] = []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, 40))
        found += split.receive_data(stream[at : at + size])
        at += size
    found += split.flush()
    assert found == expected
    assert split.counters == whole.counters
    assert split.pending == 0
    delivered = sum(len(frame.encode()) for frame in found)
    assert split.counters.bytes_discarded + delivered == len(stream)


@given(st.binary(max_size=400))
def test_the_parser_takes_anything(data: bytes) -> None:
    parser = Parser()
    parser.receive_data(data)
    parser.flush()
    assert parser.pending == 0


def test_the_parser_is_not_stalled_by_headers_within_headers() -> None:
    """The worst that can be built: sound headers, each of which claims 2048 bytes."""
    header = Frame(0, 1, 2, bytes(2048)).encode()[:14]
    parser = Parser()
    parser.receive_data(header * 2000)
    parser.flush()
    assert parser.pending == 0


@given(st.sampled_from(Format), st.binary(max_size=24))
def test_values_decode_or_are_refused(wire_format: Format, data: bytes) -> None:
    try:
        value = decode(wire_format, data)
    except FormatError:
        return
    if not (isinstance(value, float) and math.isnan(value)):
        assert encode(wire_format, value) == data


@given(st.floats(width=32, allow_nan=False))
def test_the_shortest_number_is_the_same_number(value: float) -> None:
    assert encode(Format.FLOAT, shortest(value)) == encode(Format.FLOAT, value)
    if math.isfinite(value):
        assert _digits(shortest(value)) <= _digits(value)


def _digits(value: float) -> int:
    """Return how many significant digits a number has, however it is written."""
    return len(Decimal(repr(value)).normalize().as_tuple().digits)


@given(st.integers(0, 0xFFFFFFFF))
def test_the_plant_s_time_goes_both_ways(seconds: int) -> None:
    assert plant_seconds(plant_time(seconds)) == seconds


@given(requests, frames, st.sampled_from([*Format, None]))
def test_matching_takes_anything(
    request: Request, frame: Frame, wire_format: Format | None
) -> None:
    mismatch(request, frame, wire_format)


@given(requests, st.binary(max_size=40), st.integers(0, 0xFFFF))
def test_an_answer_made_of_the_request_fits(request: Request, data: bytes, code: int) -> None:
    if request.object_type in (0x000A, 0x0101):
        return
    if request.service is Service.WRITE:
        data = b""
    assert mismatch(request, request.answer(data), None) is None
    assert mismatch(request, request.error(code), None) is None


@given(requests, st.sampled_from(["destination", "object_type", "object_id", "property_id"]))
def test_an_answer_to_another_request_never_fits(request: Request, field: str) -> None:
    values = {
        name: getattr(request, name)
        for name in ("destination", "service", "object_type", "object_id", "property_id")
    }
    values[field] = (values[field] + 1) & 0xFFFF
    other = Request(**values)
    assert mismatch(request, other.answer(), None) is not None or request.object_type == 0x0101


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_the_dialogue_takes_anything(chunks: list[bytes]) -> None:
    exchange = Exchange()
    exchange.ask(Request(101, Service.READ, 1, 3000, 1), Format.FLOAT)
    for chunk in chunks:
        exchange.receive_data(chunk)
    exchange.idle()


def test_what_nobody_asked_for_is_counted() -> None:
    exchange = Exchange()
    _, reply = exchange.receive_data(
        Request(101, Service.READ, 1, 3000, 1).answer(bytes(4)).encode()
    )
    assert reply is None
    assert exchange.rejections == {Rejection.UNSOLICITED: 1}


@given(st.binary(max_size=600))
def test_multi_info_decodes_or_is_refused(data: bytes) -> None:
    for decoder in (multi_info.decode, multi_info.decode_request):
        try:
            decoder(data)
        except ValueError:
            continue


def test_an_item_with_two_values_is_no_value() -> None:
    item = multi_info.Item(3000, 1)
    answer = multi_info.MultiInfo(0, 0, ((item, 1.0), (item, 2.0)))
    assert answer.values() == {}


@given(st.binary(max_size=40))
def test_messages_decode_or_are_refused(data: bytes) -> None:
    try:
        message = messages.decode(data)
    except ValueError:
        return
    assert message.encode() == data
    assert message.meaning.text


@given(st.binary(max_size=60))
def test_moxa_takes_anything(data: bytes) -> None:
    moxa.decode_search(data)
    moxa.decode_name(data)
    moxa.decode_network(data)


@given(st.lists(st.tuples(st.integers(0, 0x30), st.binary(max_size=600)), max_size=20))
def test_a_file_ends_or_is_refused(answers: list[tuple[int, bytes]]) -> None:
    transfer = Transfer("LG171010.CSV")
    for step, data in answers:
        if transfer.done:
            break
        try:
            transfer.receive(Body(2, 1, 0x0101, 2, step, data))
        except ValueError:
            return
    file_names(transfer.content)


@pytest.mark.parametrize("name", ["../../etc/passwd", "LG.CSV", "", "LG171010.CSV\nX", "LG171010"])
def test_only_names_of_logs_are_asked_for(name: str) -> None:
    with pytest.raises(ValueError, match="log file"):
        Transfer(name)


@given(st.sampled_from(POINTS), st.floats() | st.integers(-(2**33), 2**33))
def test_the_gate_takes_any_number(point: object, value: float) -> None:
    check(point, value, 24)  # type: ignore[arg-type]


@given(
    st.sampled_from(POINTS),
    st.floats() | st.integers() | st.booleans() | st.text(max_size=3) | st.binary(max_size=3),
)
def test_what_may_be_written_can_be_read_back(point: object, value: object) -> None:
    from hardwired_engines.studer.datapoints.datapoint import Datapoint

    assert isinstance(point, Datapoint)
    try:
        data = encode_checked(point, value, point.limits)  # type: ignore[arg-type]
    except LimitError:
        return
    assert point.writable
    assert not point.guarded
    assert point.wire_format is not None
    decode(point.wire_format, data)


def test_noise_never_makes_a_value() -> None:
    """A million random bytes while a request is open."""
    source = random.Random(7)
    exchange = Exchange()
    exchange.ask(Request(101, Service.READ, 1, 3000, 1), Format.FLOAT)
    for _ in range(100):
        _, reply = exchange.receive_data(source.randbytes(10_000))
        assert reply is None
    exchange.idle()
    assert exchange.drops()["bytes_discarded"] == 1_000_000
