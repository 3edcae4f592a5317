"""The decoders of the engines, each as something that takes bytes."""

from __future__ import annotations

import contextlib
import gzip
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hardwired_engines.clock import ManualClock
from hardwired_engines.inventum.dialogue.login import Codes
from hardwired_engines.inventum.dialogue.machine import Dialogue
from hardwired_engines.inventum.terminal import screens
from hardwired_engines.inventum.terminal.cells import CellModel
from hardwired_engines.inventum.terminal.log import LogParser
from hardwired_engines.studer import moxa
from hardwired_engines.studer.explain import Explainer
from hardwired_engines.studer.scom import messages, multi_info, redaction, values
from hardwired_engines.studer.scom.exchange import Exchange
from hardwired_engines.studer.scom.files import Transfer, file_names
from hardwired_engines.studer.scom.frame import Body, Frame, read_info, read_parameter
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.sunsynk.capture.pcap import CaptureFile, CaptureFileError
from hardwired_engines.sunsynk.dongle import messages as dongle_messages
from hardwired_engines.sunsynk.dongle.envelope import FrameCutter
from hardwired_engines.sunsynk.dongle.report import RejectedReport, is_report, read_report
from hardwired_engines.sunsynk.modbus.frames import (
    ModbusError,
    crc,
    read_answer,
    read_pdu,
    write_answer,
    write_pdu,
)
from hardwired_engines.sunsynk.modbus.framing import Framing, RtuFraming, TcpFraming
from hardwired_engines.sunsynk.pipeline.decoder import Decoder
from hardwired_engines.sunsynk.pipeline.report_pipeline import ReportPipeline
from hardwired_engines.truma.inet import buffers, signals
from hardwired_engines.truma.inet.box import Box, Received, Seen
from hardwired_engines.truma.installation import Installation
from hardwired_engines.truma.lin.frames import protected, response
from hardwired_engines.truma.lin.log import read_log
from hardwired_engines.truma.lin.transport import Assembler
from hardwired_engines.truma.node.messages import read_order, read_report as read_node_report

from ._fuzz_seeds import Target, files, hexadecimal, texts, unique

LINK_TYPES = (
    1, 0, 12, 14, 9, 50, 101, 108, 113, 149, 228, 229, 258, 276, 281, 282, 284, 285, 127, 105,
)  # fmt: skip
WHEN = datetime(2026, 6, 1, 12, tzinfo=UTC)
Take = Callable[[bytes], object]


# --------------------------------------------------------------------------------- Sunsynk


def _captures() -> list[bytes]:
    found = files("vectors/sunsynk/captures/*.pcap*", "cases/sunsynk/*.pcap")
    found = [one for one in found if one[:1] != b"{"]
    return [*found, *(gzip.compress(one, mtime=0) for one in found[:4])]


def _packets() -> list[bytes]:
    found = []
    for content in _captures():
        with contextlib.suppress(CaptureFileError):
            for packet in CaptureFile(io.BytesIO(content)):
                kind = LINK_TYPES.index(packet.link_type) if packet.link_type in LINK_TYPES else 0
                found.append(bytes((kind,)) + packet.data)
    return unique(found)


def _capture_file() -> Take:
    def take(data: bytes) -> None:
        decoder = Decoder(UTC)
        list(decoder.read(CaptureFile(io.BytesIO(data))))
        decoder.remarks()
        decoder.summary()

    return take


def _capture_packets() -> Take:
    decoder, now = Decoder(UTC), [1_780_000_000 * 10**9]

    def take(data: bytes) -> None:
        now[0] += 10**8
        kind = LINK_TYPES[data[0] % len(LINK_TYPES)] if data else 1
        decoder.packet(now[0], kind, data[1:])
        if data[-1:] == b"\0":
            decoder.frames(decoder.capture.expire(now[0] + 10**10))
        if data[-1:] == b"\1":
            decoder.finish()

    return take


def _dongle() -> list[bytes]:
    found = hexadecimal(
        "sunsynk", "streams", "reports", "messages", "codec", "real_292", "real_306"
    )
    return [one for one in found if len(one) >= 11] or found


def _dongle_stream() -> Take:
    cutter, pipeline = FrameCutter(), ReportPipeline(UTC)
    count = [0]

    def take(data: bytes) -> None:
        count[0] += 1
        half = len(data) // 2
        for part in (data[:half], data[half:]):
            for frame in cutter.append(part):
                pipeline.take(frame, WHEN + timedelta(seconds=60 * count[0]), flow=b"a")

    return take


def _dongle_message() -> Take:
    """The length in the envelope is put right, so that more comes through."""
    pipeline, count = ReportPipeline(UTC), [0]

    def take(data: bytes) -> None:
        count[0] += 1
        body = data[11:4096]
        frame = data[:9] + len(body).to_bytes(2, "big") + body if len(data) >= 11 else data
        pipeline.take(frame, WHEN + timedelta(seconds=60 * count[0]), flow=b"a")
        dongle_messages.read_login(body)
        dongle_messages.read_clock(body)
        dongle_messages.read_redirect(body)
        dongle_messages.read_polling_map(body)
        if is_report(frame):
            read_report(frame)

    return take


def _modbus(make: Callable[[], Framing], *, sealed: bool) -> Callable[[], Take]:
    def maker() -> Take:
        framing = make()
        requests = (read_pdu(59, 66), read_pdu(3, 5), write_pdu(232, [1]))

        def take(data: bytes) -> None:
            request = requests[len(data) % len(requests)]
            framing.send(1, request)
            if sealed:
                data = b"\x01" + data
                data += crc(data).to_bytes(2, "little")
            framing.doubtful(1, request)
            half = len(data) // 2
            try:
                for part in (data[:half], data[half:]):
                    framing.receive_data(part)
                    pdu = framing.answer()
                    if pdu is not None:
                        (write_answer if request[0] == 16 else read_answer)(request, pdu)
                framing.unanswered()
            finally:
                framing.forget()

        return take

    return maker


# ----------------------------------------------------------------------------------- Truma


def _lin() -> list[bytes]:
    found = hexadecimal("truma", "streams", "dialogues", "uploads", "signal_frames")
    for text in files("vectors/truma/captures/*.log", "cases/truma/*.log", longest=10**7):
        line = bytearray()
        for frame in read_log(text.decode().splitlines()[:600], lambda _fault: None):
            line += bytes((0, 0x55, frame.pid))
            line += b"" if frame.data is None else response(frame.pid, frame.data)
            if len(line) > 300:
                found.append(bytes(line))
                line.clear()
    return unique(found)


def _line() -> Take:
    box, installation, now = Box(0), Installation(), [100.0]

    def take(data: bytes) -> None:
        half = len(data) // 2
        for part in (data[:half], data[half:]):
            now[0] += 0.02
            box.receive(part, now[0])
        now[0] += 1.0
        box.tick(now[0])
        for event in box.events():
            match event:
                case Seen():
                    installation.take_frame(event)
                case Received(buffer=buffer):
                    installation.take_buffer(buffer)
        installation.states(available=True)
        box.facts(now[0])

    return take


def _slots() -> Take:
    """Parity and checksum are put right, so that every frame counts."""
    take_line = _line()

    def take(data: bytes) -> None:
        line = bytearray()
        for start in range(0, min(len(data), 180), 9):
            pid, body = protected(data[start] & 0x3F), data[start + 1 : start + 9]
            line += bytes((0, 0x55, pid))
            if len(body) == 8:
                line += response(pid, body)
        take_line(bytes(line))

    return take


def _buffers() -> Take:
    installation = Installation()

    def take(data: bytes) -> None:
        found = buffers.read_buffer(data)
        if isinstance(found, buffers.Buffer):
            installation.take_buffer(found)
        if len(data) > 2:
            installation.take_buffer(buffers.Buffer(data[0] % 64, data[1], data[2:], data[:3]))
        for layout in buffers.STATUS_LAYOUTS.values():
            layout.read(data)
        buffers.read_device(data)
        for identifier in signals.Signal:
            signals.read_signal(identifier, data[:8].ljust(8, b"\xff"))
        signals.read_heater_state(data[:8].ljust(8, b"\xff"))
        assembler = Assembler()
        for start in range(0, len(data) - 7, 8):
            assembler.receive_data(data[start : start + 8], float(start))
        installation.states(available=True)
        installation.facts()

    return take


def _logs() -> list[bytes]:
    found = []
    for text in files("vectors/truma/captures/*.log", "cases/truma/*", longest=10**7):
        lines = text.splitlines(keepends=True)
        found += [b"".join(lines[start : start + 30]) for start in range(0, len(lines), 30)]
    return unique(found, 500)


def _lin_log() -> Take:
    def take(data: bytes) -> None:
        list(read_log(data.decode(errors="replace").splitlines(), lambda _fault: None))

    return take


def _node() -> Take:
    def take(data: bytes) -> None:
        for line in data.splitlines() or (data,):
            read_node_report(line, 100.0)
            read_order(line)

    return take


def _node_lines() -> list[bytes]:
    from hardwired_engines.truma.inet.buffers import Buffer, Group  # noqa: PLC0415
    from hardwired_engines.truma.lin.frames import LinFrame  # noqa: PLC0415
    from hardwired_engines.truma.node import messages as node  # noqa: PLC0415

    frame = LinFrame(0x20, bytes(8))
    told = (
        Seen(frame, 0.0), node.Sent(frame), Received(Buffer(1, 2, bytes(10), b"abc")),
        node.BusFacts(pending=("heater",)), node.Hello(True), node.Lost("busy", "x"),
    )  # fmt: skip
    ordered = (
        node.Wish(1, Group.HEATER, {"target_temp_room": 2900}), node.Refresh(),
        node.SetOffset(3600.0), node.End(),
    )  # fmt: skip
    return [*map(node.write_report, told), *map(node.write_order, ordered)]


# ---------------------------------------------------------------------------------- Studer


def _scom() -> list[bytes]:
    return hexadecimal("studer")


def _scom_stream() -> Take:
    exchange, explainer = Exchange(), Explainer()
    requests = (read_info(101, 3000), read_parameter(501, 5002), read_info(100, 3000))

    def take(data: bytes) -> None:
        exchange.ask(requests[len(data) % len(requests)], values.Format.FLOAT)
        half = len(data) // 2
        for part in (data[:half], data[half:]):
            for frame in exchange.receive_data(part)[0]:
                explainer.explain(frame)
                redaction.mask(frame)
        exchange.idle()
        exchange.drops()
        exchange.abandon()

    return take


def _scom_sealed() -> Take:
    """Both checksums are right: what is wrong lies in the frame."""
    exchange, explainer = Exchange(), Explainer()

    def take(data: bytes) -> None:
        source = int.from_bytes(data[:2], "little")
        frame = Frame(data[2] if len(data) > 2 else 0, source, 1, data[3:2051])
        request = read_info(source, 3000)
        exchange.ask(request, values.Format.FLOAT)
        found, reply = exchange.receive_data(frame.encode())
        exchange.idle()
        for one in found:
            explainer.explain(one)
            redaction.mask(one)
            one.body()
        if reply is None:
            exchange.abandon()

    return take


def _scom_contents() -> Take:
    def decode(what: Callable[[bytes], Any], data: bytes) -> None:
        with contextlib.suppress(ValueError):
            what(data)

    def take(data: bytes) -> None:
        Parser().receive_data(data)
        for wire_format in values.Format:
            size = values.size_of(wire_format)
            for part in (data, data[:size] if size else data):
                decode(lambda told, kind=wire_format: values.decode(kind, told), part)  # type: ignore[misc]
        for start in range(0, max(1, len(data) - 17), 18):
            decode(lambda told: messages.decode(told).time, data[start : start + 18])
        decode(lambda told: multi_info.decode(told).values(), data)
        decode(multi_info.decode_request, data)
        file_names(data)
        transfer = Transfer("LG240131.CSV")
        for kind in (0x21, 0x22, 0x23, 0x24):
            told = Body(2, 1, 5, 6, kind, data)
            decode(lambda _data, body=told: transfer.receive(body), data)  # type: ignore[misc]
        moxa.decode_search(data)
        moxa.decode_name(data)
        moxa.decode_network(data)

    return take


# -------------------------------------------------------------------------------- Inventum


def _terminal_bytes() -> list[bytes]:
    return unique(
        [
            *hexadecimal("inventum", "dialogues", "terminal", "logger", "screens", longest=4000),
            *texts("inventum", "screens", "challenge"),
        ]
    )


def _screen() -> Take:
    cells = CellModel()

    def take(data: bytes) -> None:
        cells.receive_data(data)
        screens.view_of(cells)
        screens.edit_field(cells)
        screens.selections(cells)
        screens.selected(cells)
        screens.menu_keys(cells)
        screens.labelled_keys(cells)
        screens.challenge_number(cells)
        if (row := screens.fan_row(cells)) is not None:
            screens.mark_of(cells, row)

    return take


def _log_rows() -> Take:
    parser = LogParser()

    def take(data: bytes) -> None:
        half = len(data) // 2
        parser.receive_data(data[:half])
        parser.receive_data(data[half:])
        if data[-1:] == b"\0":
            parser.restart()

    return take


class _HandClock(ManualClock):
    """A clock that is moved without an event loop."""

    def move(self, seconds: float) -> None:
        self._elapsed += seconds


def _conversation() -> Take:
    clock = _HandClock(WHEN)
    dialogue = Dialogue(clock, Codes("3845", "19"))
    dialogue.opened()

    def take(data: bytes) -> None:
        third = len(data) // 3
        for part in (data[:third], data[third : 2 * third], data[2 * third :]):
            dialogue.receive_data(part)
            clock.move((len(data) % 7) * 0.2 + 0.05)
            dialogue.tick()
            dialogue.data_to_send()
            dialogue.events()
        if (due := dialogue.next_due) is not None:
            clock.move(max(0.0, due - clock.monotonic()))
            dialogue.tick()
        dialogue.data_to_send()
        dialogue.events()

    return take


def targets() -> tuple[Target, ...]:
    """Return the decoders of the engines' wires."""
    return (
        Target(name="sunsynk-files", seeds=_captures, make=_capture_file,
               documented=(CaptureFileError,), renew=2000, weight=0.5),
        Target(name="sunsynk-packets", seeds=_packets, make=_capture_packets, renew=500),
        Target(name="sunsynk-stream", seeds=_dongle, make=_dongle_stream, renew=50),
        Target(name="sunsynk-messages", seeds=_dongle, make=_dongle_message, renew=50,
               documented=(RejectedReport,)),
        Target(name="modbus-rtu", seeds=lambda: hexadecimal("sunsynk", "modbus"),
               make=_modbus(RtuFraming, sealed=False), documented=(ModbusError,)),
        Target(name="modbus-rtu-sealed", seeds=lambda: hexadecimal("sunsynk", "modbus"),
               make=_modbus(RtuFraming, sealed=True), documented=(ModbusError,)),
        Target(name="modbus-tcp", seeds=lambda: hexadecimal("sunsynk", "modbus"),
               make=_modbus(TcpFraming, sealed=False), documented=(ModbusError,)),
        Target(name="truma-line", seeds=_lin, make=_line),
        Target(name="truma-slots", seeds=_lin, make=_slots),
        Target(name="truma-buffers", seeds=lambda: hexadecimal("truma"), make=_buffers),
        Target(name="truma-log", seeds=_logs, make=_lin_log, renew=2000),
        Target(name="truma-node", seeds=_node_lines, make=_node, renew=2000),
        Target(name="studer-stream", seeds=_scom, make=_scom_stream),
        Target(name="studer-sealed", seeds=_scom, make=_scom_sealed),
        Target(name="studer-contents", seeds=_scom, make=_scom_contents, renew=2000),
        Target(name="inventum-screens", seeds=_terminal_bytes, make=_screen),
        Target(name="inventum-logger", seeds=_terminal_bytes, make=_log_rows),
        Target(name="inventum-dialogue", seeds=_terminal_bytes, make=_conversation),
    )  # fmt: skip
