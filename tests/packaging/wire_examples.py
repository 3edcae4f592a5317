"""Reads the worked examples of the protocol pages and says what this project's codecs make of them.

An example is a fenced block whose language names the wire. Lines of hexadecimal bytes, comments
after ``#``; then lines that begin with ``=`` claim what the bytes before them mean:

    ```scom
    AA 00 01000000 65000000 0A00 6F71 00 01 0100 B80B0000 0100 C590
    = 1 -> 101: read type 0001 object 3000 property 1
    ```

A reader of the page decodes the bytes and compares; the tests do the same, with the codecs that
decode the real wire. Each claim has to be one of the facts that the codec finds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from custom_components.hardwired.engines.studer import moxa
from custom_components.hardwired.engines.studer.scom import (
    frame as scom_frame,
    messages as scom_messages,
    multi_info,
    values,
)
from custom_components.hardwired.engines.studer.scom.errors import error_name
from custom_components.hardwired.engines.studer.scom.parser import Parser
from custom_components.hardwired.engines.sunsynk.dongle import (
    messages as dongle_messages,
    report,
)
from custom_components.hardwired.engines.sunsynk.dongle.envelope import (
    FROM_SERVER,
    FrameCutter,
    frame_size,
    header_ok,
)
from custom_components.hardwired.engines.sunsynk.modbus import frames as modbus
from custom_components.hardwired.engines.truma.inet import buffers, signals
from custom_components.hardwired.engines.truma.lin import frames as lin
from custom_components.hardwired.engines.truma.lin.transport import Assembler

FENCE = re.compile(r"^ *```(?P<kind>[\w-]+)[^\n]*\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass
class Example:
    """The bytes, line by line, and what the page claims of them."""

    kind: str
    line: int
    rows: list[bytes] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)


class NotSound(AssertionError):
    """The bytes of an example are not what its kind asks for."""


def examples(page: str) -> Iterator[Example]:
    """Yield the examples of a page, in order."""
    for match in FENCE.finditer(page):
        if match["kind"] not in KINDS:
            continue
        first = page.count("\n", 0, match.start()) + 2
        example = Example(match["kind"], first)
        for number, line in enumerate(match["body"].splitlines(), first):
            text = line.strip()
            if text.startswith("="):
                example.claims.append(_plain(text[1:]))
                continue
            digits = re.sub(r"\s", "", text.partition("#")[0])
            if not digits:
                continue
            if example.claims:
                yield example
                example = Example(match["kind"], number)
            example.rows.append(bytes.fromhex(digits))
        yield example


def facts(example: Example) -> set[str]:
    """Return everything that the codec finds in the bytes. Raises :class:`NotSound`."""
    return {_plain(fact) for fact in KINDS[example.kind](example.rows)}


def _plain(text: str) -> str:
    return " ".join(text.split())


def _need(sound: object, why: str) -> None:
    if not sound:
        raise NotSound(why)


# ------------------------------------------------------------------------------------ studer


def _scom(rows: list[bytes]) -> Iterator[str]:
    """One frame, whole; its lines are read as one."""
    raw = b"".join(rows)
    frames = Parser().receive_data(raw)
    _need(len(frames) == 1 and frames[0].encode() == raw, "not one whole SCOM frame")
    (frame,) = frames
    yield f"checksums {raw[12:14].hex(' ')} and {raw[-2:].hex(' ')}"
    for flag in scom_frame.FrameFlags:
        yield f"{'has' if frame.flags & flag else 'lacks'} flag {flag.name}"
    body = frame.body()
    _need(body is not None, "no service in it")
    assert body is not None
    verb = {1: "read", 2: "write"}[body.service]
    what = f"type {body.object_type:04x} object {body.object_id} property {body.property_id}"
    way = f"{frame.source} -> {frame.destination}:"
    if body.is_error:
        code = body.error_code
        _need(code is not None, "an error without a code")
        assert code is not None
        yield f"{way} error {code:04x} {error_name(code)} to {verb} {what}"
        return
    yield f"{way} {'answer to ' if body.is_response else ''}{verb} {what}"
    yield f"data {body.data.hex(' ')}" if body.data else "no data"
    yield from _scom_values(body)


def _scom_stream(rows: list[bytes]) -> Iterator[str]:
    """Bytes as they arrive, one line a read; at the end the line is silent."""
    parser = Parser()
    frames = [frame for row in rows for frame in parser.receive_data(row)]
    yield f"{len(frames)} frames before the silence"
    frames += parser.flush()
    counters = parser.counters
    yield f"{len(frames)} frames, {counters.bytes_discarded} bytes dropped"
    yield f"{counters.header_errors} header errors, {counters.data_errors} data errors"


def _scom_values(body: scom_frame.Body) -> Iterator[str]:
    kind, data = body.object_type, body.data
    for wire_format in values.Format:
        size = values.size_of(wire_format)
        if data and size == len(data):
            try:
                yield f"{wire_format.name} {values.decode(wire_format, data)}"
            except values.FormatError:
                continue
    if kind == scom_frame.ObjectType.MESSAGE and len(data) == scom_messages.SIZE:
        message = scom_messages.decode(data)
        yield f"message {message.number} of {message.source} at {message.time}"
        yield f"{message.total} messages in all"
    if kind == scom_frame.ObjectType.MULTI_INFO and body.is_response:
        answer = multi_info.decode(data)
        yield f"plant time {values.plant_time(answer.timestamp)}"
        for item, value in answer.items:
            yield f"info {item.info} aggregation {item.aggregation:02x}: {values.shortest(value)}"
    elif kind == scom_frame.ObjectType.MULTI_INFO:
        for item in multi_info.decode_request(data):
            yield f"info {item.info} aggregation {item.aggregation:02x}"
    if data and all(byte in b"\n" or 32 <= byte < 127 for byte in data):
        yield f"text {data.decode('ascii').replace(chr(10), ' | ')}"


def _moxa(rows: list[bytes]) -> Iterator[str]:
    (datagram,) = rows
    if moxa.is_search(datagram):
        yield "search"
    if found := moxa.decode_search(datagram):
        yield f"MAC {found.mac} at {found.ip}"
        yield f"asked for its name with {moxa.ask_name(found).hex(' ')}"
    if name := moxa.decode_name(datagram):
        yield f"name {name}"
    if network := moxa.decode_network(datagram):
        yield f"{network.ip} mask {network.mask} gateway {network.gateway}"


# ------------------------------------------------------------------------------------- truma


def _lin(rows: list[bytes]) -> Iterator[str]:
    """One frame: the identifier as it travels, eight bytes, the checksum."""
    raw = b"".join(rows)
    _need(len(raw) == 10, "not an identifier, eight bytes and a checksum")
    pid, data = raw[0], raw[1:9]
    identifier = lin.identifier_of(pid)
    _need(identifier is not None, "wrong parity")
    _need(lin.response(pid, data) == raw[1:], f"checksum: {lin.response(pid, data)[-1]:02x}")
    assert identifier is not None
    kind = "classic" if identifier in lin.DIAGNOSTIC else "enhanced"
    yield f"identifier {identifier:02X}, {kind} checksum {raw[9]:02X}"
    for name, value in (signals.read_signal(identifier, data) or {}).items():
        yield f"{name} {_said(value)}"
    if state := signals.read_heater_state(data):
        yield f"heater_state {state.name.lower()}"


def _lin_stream(rows: list[bytes]) -> Iterator[str]:
    """Bytes of the bus, one line a read, 50 ms apart; at the end it is silent."""
    receiver = lin.Receiver()
    events = [
        event for at, row in enumerate(rows) for event in receiver.receive_data(row, at * 0.05)
    ]
    events += receiver.expire(len(rows) * 0.05)
    names = {
        lin.Header: "header",
        lin.LinFrame: "frame",
        lin.BadFrame: "bad frame",
        lin.Unanswered: "unanswered",
    }
    yield ", ".join(f"{names[type(event)]} {event.pid:02X}" for event in events)


def _inet(rows: list[bytes]) -> Iterator[str]:
    """Frames of the transport layer, eight bytes each or nine with the checksum: one message."""
    assembler = Assembler()
    message = None
    for number, row in enumerate(rows):
        _need(message is None, "frames after the last one")
        _need(len(row) in (8, 9), f"frame {number} has {len(row)} bytes")
        if len(row) == 9:
            right = lin.checksum(row[:8])
            _need(right == row[8], f"frame {number}: checksum {right:02x}")
        message = assembler.receive_data(row[:8], 0.0)
    _need(message is not None, "no whole message")
    assert message is not None
    data = message.data
    yield f"NAD {message.nad:02X}, {len(data)} bytes: {data[:6].hex(' ')}"
    if data[0] not in (buffers.DOWNLOAD, buffers.UPLOAD):
        return
    buffer = buffers.read_buffer(data)
    _need(isinstance(buffer, buffers.Buffer), f"the buffer is refused: {buffer}")
    assert isinstance(buffer, buffers.Buffer)
    yield f"message {buffer.message_id:02X}, counter {buffer.counter}, {len(buffer.payload)} bytes"
    yield f"buffer checksum {data[16]:02X}"
    yield f"tail {buffer.tail.hex(' ')}"
    layouts = dict(buffers.STATUS_LAYOUTS)
    layouts |= {upload.message_id: upload.layout for upload in buffers.UPLOADS.values()}
    if layout := layouts.get(buffer.message_id):
        for name, value in (layout.read(buffer.payload) or {}).items():
            yield f"{name} {value}"
    if buffer.message_id == buffers.MessageId.DEVICE:
        record = buffers.read_device(buffer.payload)
        assert record is not None
        first, second, third = record.sw
        yield f"device {record.index} of {record.count}, state {record.state}"
        yield f"hardware {record.hw_id:04X}.{record.hw_rev:02X}"
        yield f"software {first}.{second:02d}.{third:02d}, build {record.build}"


# ----------------------------------------------------------------------------------- sunsynk


def _dongle(rows: list[bytes]) -> Iterator[str]:
    """One message on the cloud connection; the envelope alone will do."""
    raw = b"".join(rows)
    _need(header_ok(raw), "no envelope")
    size = frame_size(raw)
    _need(len(raw) in (11, size), f"{len(raw)} bytes, the envelope says {size}")
    from_server = raw[2] == FROM_SERVER
    yield f"type {raw[3]:02x} from the {'server' if from_server else 'dongle'}, message {raw[8]}"
    yield f"body of {size - 11} bytes, {size} in all"
    yield f"signal {int.from_bytes(raw[5:6], signed=True)} dBm"
    body = raw[11:]
    if not body:
        return
    kind = raw[3]
    if kind == dongle_messages.MessageType.LOGIN and not from_server:
        login = dongle_messages.read_login(body)
        _need(login is not None, "no login")
        assert login is not None
        yield f"dongle {login.dongle_serial}, key {login.register_key}"
    elif kind == dongle_messages.MessageType.LOGIN:
        yield f"clock {dongle_messages.read_clock(body)}"
    elif kind == dongle_messages.MessageType.WHICH_SERVER:
        yield f"server {dongle_messages.read_redirect(body)}"
    elif kind == dongle_messages.MessageType.POLLING_MAP:
        yield from _polling_map(body)
    elif report.is_report(raw):
        yield from _report(raw)


def _dongle_stream(rows: list[bytes]) -> Iterator[str]:
    """One direction of a connection, one line a segment."""
    cutter = FrameCutter()
    for number, row in enumerate(rows, 1):
        found = " ".join(f"{frame[3]:02x}" for frame in cutter.append(row)) or "nothing yet"
        yield f"after segment {number}: {found}"


def _polling_map(body: bytes) -> Iterator[str]:
    found = dongle_messages.read_polling_map(body)
    _need(found is not None, "no polling map")
    assert found is not None
    yield f"version {found.version}, {len(found.entries)} entries"
    blocks = " ".join(f"{start}x{count}" for start, count in found.report_blocks)
    yield f"class 0: {blocks}"
    assert found.layout is not None
    yield f"reports of {found.layout.length} bytes"


def _report(raw: bytes) -> Iterator[str]:
    read = report.read_report(raw)
    yield f"inverter {read.serial} at {read.local_time}"
    for name, value in read.values.items():
        yield f"{name} {_said(value)}"


def _modbus(rows: list[bytes]) -> Iterator[str]:
    raw = b"".join(rows)
    _need(modbus.crc(raw[:-2]) == int.from_bytes(raw[-2:], "little"), "wrong CRC")
    yield f"CRC {raw[-2:].hex(' ')}"
    yield f"unit {raw[0]} function {raw[1]}"


def _said(value: Any) -> str:
    if value is None:
        return "absent"
    return str(value).lower() if isinstance(value, bool) else str(value)


KINDS: dict[str, Callable[[list[bytes]], Iterator[str]]] = {
    "scom": _scom,
    "scom-stream": _scom_stream,
    "moxa": _moxa,
    "lin": _lin,
    "lin-stream": _lin_stream,
    "inet": _inet,
    "dongle": _dongle,
    "dongle-stream": _dongle_stream,
    "modbus": _modbus,
}
