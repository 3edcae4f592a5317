"""``hardwired decode truma``: what the frames of a recording say."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from hardwired_engines.truma.devices import hardware, model_of, software
from hardwired_engines.truma.inet.box import PID_REQUEST, PID_RESPONSE
from hardwired_engines.truma.inet.buffers import (
    DOWNLOAD,
    STATUS_LAYOUTS,
    UPLOAD,
    UPLOADS,
    Buffer,
    MessageId,
    Refusal,
    read_buffer,
    read_device,
)
from hardwired_engines.truma.inet.signals import Signal, read_heater_state, read_signal
from hardwired_engines.truma.lin.frames import (
    BadFrame,
    LinFrame,
    Receiver,
    Unanswered,
    identifier_of,
)
from hardwired_engines.truma.lin.log import WAKE, LogFault, LoggedFrame, read_log
from hardwired_engines.truma.lin.transport import Assembler, Request

from ...output import emit, tell
from .recording import NOTHING_KNOWN, events_of, lines_of, opened

_SET_LAYOUTS = {upload.message_id: upload.layout for upload in UPLOADS.values()}


class Decoder:
    """Turns slots of the bus into records, and counts them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first_fault = ""
        """The first line of a text log that was no frame, in words."""
        self._requests = Assembler()
        self._responses = Assembler()

    @property
    def found(self) -> bool:
        """Whether anything was that a bus carries: a sound frame, an empty slot, a wake-up."""
        return any(self.counts[name] for name in ("frames", "empty", "wake_ups"))

    def slot(
        self, pid: int, data: bytes | None, *, time: float | None = None, sound: bool = True
    ) -> Iterator[dict[str, Any]]:
        """Yield the records of one slot: the frame, and the message that it completes."""
        identifier = identifier_of(pid)
        record: dict[str, Any] = {} if time is None else {"time": round(time, 6)}
        if identifier is None:
            self.counts["wake_ups"] += 1
            yield {**record, "wake_up": True}
            return
        record |= {"id": f"{identifier:02x}", "data": data}
        if data is None:
            self.counts["empty"] += 1
            yield record
            return
        if not sound:
            self.counts["damaged"] += 1
            if pid == PID_REQUEST:
                self._requests.damaged()
            yield {**record, "damaged": True}
            return
        self.counts["frames"] += 1
        yield {**record, **_values(identifier, data)}
        # Without time stamps frames follow each other closely enough.
        moment = time or 0.0
        if pid == PID_REQUEST:
            # What was not fetched before a new request is lost.
            self._responses.damaged()
            message = self._requests.receive_data(data, moment)
        elif pid == PID_RESPONSE:
            message = self._responses.receive_data(data, moment)
        else:
            return
        if message is not None:
            yield from self._message(message, time)

    def truncated(self, pid: int, received: int) -> Iterator[dict[str, Any]]:
        """Yield the record of a slot that broke off after so many bytes."""
        self.counts["truncated"] += 1
        if pid == PID_REQUEST:
            self._requests.damaged()
        yield {"id": f"{identifier_of(pid):02x}", "data": None, "truncated": received}

    def _message(self, message: Request, time: float | None) -> Iterator[dict[str, Any]]:
        service = message.data[0]
        if service not in (DOWNLOAD, UPLOAD) or len(message.data) <= 6:
            return
        buffer = read_buffer(message.data)
        record: dict[str, Any] = {} if time is None else {"time": round(time, 6)}
        record["nad"] = message.nad
        if isinstance(buffer, Refusal):
            self.counts["refused"] += 1
            yield {**record, "refused": buffer, "message": message.data}
            return
        kind = "download" if service == DOWNLOAD else "upload"
        self.counts[f"{kind}s"] += 1
        yield {**record, kind: _describe(buffer)}


def _values(identifier: int, data: bytes) -> dict[str, Any]:
    """Return what a frame says by itself."""
    state = read_heater_state(data) if identifier == 0x3D else None
    if state is not None:
        return {"heater_state": state.name.lower()}
    signals = read_signal(identifier, data)
    if signals is None:
        return {}
    return {"signal": Signal(identifier).name.lower(), "values": signals}


def _describe(buffer: Buffer) -> dict[str, Any]:
    number = buffer.message_id
    try:
        name = MessageId(number).name.lower()
    except ValueError:
        name = "unknown"
    record: dict[str, Any] = {
        "id": f"{number:02x}",
        "name": name,
        "counter": buffer.counter,
        "tail": buffer.tail,
        "payload": buffer.payload,
    }
    if number == MessageId.DEVICE:
        device = read_device(buffer.payload)
        if device is not None:
            record["fields"] = asdict(device)
            record["model"] = model_of(device).name
            record["hardware"], record["software"] = hardware(device), software(device)
        return record
    layout = STATUS_LAYOUTS.get(number) or _SET_LAYOUTS.get(number)
    fields = None if layout is None else layout.read(buffer.payload)
    if fields is not None:
        record["fields"] = fields
    return record


def decode_log(lines: Iterator[str], decoder: Decoder) -> Iterator[dict[str, Any]]:
    """Yield the records of a text log; lines that are no frame are counted and left out."""

    def skip(fault: LogFault) -> None:
        decoder.counts["skipped_lines"] += 1
        decoder.first_fault = decoder.first_fault or str(fault)

    for frame in read_log(lines, skip):
        yield from _logged(frame, decoder)


def _logged(frame: LoggedFrame, decoder: Decoder) -> Iterator[dict[str, Any]]:
    pid = WAKE if frame.pid == WAKE and frame.data is None else frame.pid
    yield from decoder.slot(pid, frame.data, time=frame.time, sound=frame.sound)


def decode_raw(chunks: Iterator[bytes], decoder: Decoder) -> Iterator[dict[str, Any]]:
    """Yield the records of the raw bytes of a line."""
    receiver = Receiver()
    for event in events_of(chunks, receiver):
        match event:
            case LinFrame(pid=pid, data=data):
                yield from decoder.slot(pid, data)
            case BadFrame(pid=pid, data=data):
                yield from decoder.slot(pid, data, sound=False)
            case Unanswered():
                yield from _broken_off(event, decoder)
    decoder.counts["parity_errors"] = receiver.parity_errors


def _broken_off(slot: Unanswered, decoder: Decoder) -> Iterator[dict[str, Any]]:
    if slot.received:
        yield from decoder.truncated(slot.pid, slot.received)
    else:
        yield from decoder.slot(slot.pid, None)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a text log of a LIN analyser, of 'hardwired record', of inetbox.py or of ESPHome,"
        " or raw bytes; - is stdin",
    )
    parser.add_argument(
        "--summary", action="store_true", help="add the counters at the end, as {'summary': ...}"
    )


def run(options: argparse.Namespace) -> int:
    """Print what the slots of a recording say, in constant memory."""
    decoder = Decoder()
    with opened(options.file) as (chunks, encoding):
        if encoding is None:
            records = decode_raw(chunks, decoder)
        else:
            records = decode_log(lines_of(chunks, encoding), decoder)
        for record in records:
            emit(record)
    if options.summary:
        emit({"summary": dict(decoder.counts)})
    if skipped := decoder.counts["skipped_lines"]:
        tell(f"lines left out: {skipped}; {decoder.first_fault}")
    if not decoder.found:
        tell(NOTHING_KNOWN)
        return 1
    return 0
