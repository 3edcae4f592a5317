"""Issue 13, number 7: what an address keeps secret is shown nowhere, whatever goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
import traceback
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, strategies as st

import hardwired
import hardwired_engines
from hardwired_engines.engine import LinkError, Notice, Reason
from hardwired_engines.factory import Surroundings, factories, factory_of, running
from hardwired_engines.link import Backoff, Supervisor, link_error, make_opener
from hardwired_engines.masking import MASK, masked, masked_text, secrets_of
from tests.log_calls import log_calls_with_raw_addresses, raw_addresses
from tests.ports import free_port

PASSWORD = "hunter2secret"
KEY = "VGhpc0lzQVBTSw+/x"
BY_PATH = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0"
SECRETS = (PASSWORD, KEY, "VGhpc0lzQVBTSw")


# ---------------------------------------------------------------------------- the function


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("tcp://owner:hunter2@10.0.0.2:4001", "tcp://***@10.0.0.2:4001"),
        ("rfc2217://token@moxa.lan:4001", "rfc2217://***@moxa.lan:4001"),
        ("esphome://lamp.lan:6053/?port_name=A&key=abc=", "esphome://lamp.lan:6053/?port_name=A&key=***"),
        ("esphome://h/?noise_psk=a%2Bb&port_name=A", "esphome://h/?noise_psk=***&port_name=A"),
        ("tcp://h:1?TOKEN=a;b&peer=1.2.3.4", "tcp://h:1?TOKEN=***&peer=1.2.3.4"),
        ("tcp://h:1?k%65y=a", "tcp://h:1?k%65y=***"),
        ("tcp://h:1?login_code=1234", "tcp://h:1?login_code=***"),
        ("tcp://h:1?key=a&b&peer=c", "tcp://h:1?key=***&peer=c"),
        ("tcp://u:p@ss/w?rd@[fe80::1]:22?a=1", "tcp://***@[fe80::1]:22?a=1"),
        ("tcp://u:p#w@h:1", "tcp://***@h:1"),
        ("tcp://u:p w@h:1", "tcp://***@h:1"),
        ("u:p@h:1", "***@h:1"),
        ("listen://0.0.0.0:4001?peer=10.0.0.2", "listen://0.0.0.0:4001?peer=10.0.0.2"),
        ("tcp://h:1?peer=a@b", "tcp://h:1?peer=a@b"),
        ("sim://?xtenders=3&seed=1", "sim://?xtenders=3&seed=1"),
        (BY_PATH, BY_PATH),
        ("COM3", "COM3"),
        ("", ""),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert masked(address) == shown


def test_a_text_is_shown_without_the_secrets_of_the_addresses_in_it() -> None:
    text = "('tcp://u:hunter2@h:1' is lost; 'esphome://h/?key=abc'). Write to me@home: a=b?"
    assert masked_text(text) == (
        "('tcp://***@h:1' is lost; 'esphome://h/?key=***'). Write to me@home: a=b?"
    )


def test_what_a_library_repeats_of_an_address_is_masked() -> None:
    address = "esphome://h/?key=ab%2Bcdefg"
    error = ConnectionError("lamp: Malformed PSK `ab+cdefg`, expected base64; ab%2Bcdefg")
    assert str(link_error(error, address=address)) == (
        "lamp: Malformed PSK `***`, expected base64; ***"
    )


WILD = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
ADDRESS_LIKE = st.lists(
    st.sampled_from(
        ["://", "@", ":", "/", "?", "&", ";", "=", "#", "key", "token", "***", " ", "[", "]", "'",
         "%", "%40", "tcp", "h", "12", "a", ".", ",", ")", "code=", "?key="]
    ),
    max_size=25,
).map("".join)  # fmt: skip
WORD = st.text("abcXYZ019", min_size=6, max_size=12)
TRICKY = st.builds("{}{}{}".format, WORD, st.text("%:.~_!$*+,=-'()", max_size=4), WORD)


@given(WILD | ADDRESS_LIKE)
def test_masking_twice_is_masking_once(text: str) -> None:
    assert masked(masked(text)) == masked(text)
    assert masked_text(masked_text(text)) == masked_text(text)


@given(WILD | ADDRESS_LIKE)
def test_masking_invents_nothing(text: str) -> None:
    """What is shown stood there before, in this order, but for the masks."""
    rest = iter(text)
    assert all(one in rest for one in masked(text).replace(f"{MASK}@", "@").replace(MASK, ""))


@given(
    st.tuples(TRICKY, TRICKY | st.builds("{}{}{}".format, WORD, st.sampled_from("/?#@&; "), WORD)),
    st.sampled_from(["tcp://{}10.0.0.2:4001", "rfc2217://{}moxa.lan:1", "udp://{}[fe80::1]:65535"]),
    st.sampled_from(["key", "token", "password", "login_code", "noise_psk", "api-key"]),
    TRICKY,
)
def test_host_and_port_stay_and_secrets_go(
    login: tuple[str, str], form: str, name: str, value: str
) -> None:
    user, password = login[0].replace(":", ""), login[1]
    query = f"/?peer=1.2.3.4&{name}="
    address = form.format(f"{user}:{password}@") + query + value
    shown = form.format("***@") + query + "***"
    assert masked(address) == shown + value[len(value.rstrip("'\"`)>]},.;:!")) :]
    text = f"{address} failed: {password!r}, {value}"
    assert password not in masked_text(text, address)
    assert value not in masked_text(text, address)
    assert {password, value} <= secrets_of(address)


@pytest.mark.parametrize("piece", ["@", ":", "/", "?", "&", ";", "=", "://", "?key=", "&key=", "a"])
def test_the_time_grows_with_the_length_only(piece: str) -> None:
    """Counted in processor time; a square of the length would be minutes."""
    before = time.process_time()
    masked_text(piece * (1_000_000 // len(piece)))
    address = f"tcp://{piece * (5_000 // len(piece))}@h?key={piece * (5_000 // len(piece))}"
    masked_text(f"{address} {address}", address)
    assert time.process_time() - before < 20


# ---------------------------------------------------------------------------- every engine


@dataclass
class Heard:
    """All that somebody could read."""

    texts: list[str] = field(default_factory=list)

    def add(self, *told: Any) -> None:
        for one in told:
            if isinstance(one, BaseException):
                self.texts += [str(one), repr(one), *traceback.format_exception(one)]
                if isinstance(one, LinkError):
                    self.texts.append(repr(one.placeholders))
            else:
                self.texts.append(one if isinstance(one, str) else repr(one))

    def check(self) -> None:
        for text in self.texts:
            for secret in SECRETS:
                assert secret not in text


class Silence:
    """A host that takes connections, says nothing, and hangs up when told."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            self.hang_up()
            server.close()

    async def _accept(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.arrived.set()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


LINKS = {
    "refused": f"tcp://owner:{PASSWORD}@127.0.0.1:REFUSED?key={KEY}",
    "refused_serial": f"rfc2217://owner:{PASSWORD}@127.0.0.1:REFUSED?key={KEY}",
    "no_library_or_host": f"esphome://owner:{PASSWORD}@127.0.0.1:REFUSED/?port_name=a&key={KEY}",
    "not_found": f"/nowhere/owner:{PASSWORD}@port?key={KEY}",
    "bad_host": f"tcp://owner:{PASSWORD}@host..name:1?key={KEY}",
    "no_port": f"tcp://owner:{PASSWORD}@127.0.0.1?password={KEY}",
    "bad_port": f"tcp://owner:{PASSWORD}@127.0.0.1:port?code={KEY}",
    "slash": f"tcp://owner:{PASSWORD}/{PASSWORD}@127.0.0.1:1?code={KEY}",
    "bad_host_brackets": f"tcp://owner:{PASSWORD}@[fe80::1:1?token={KEY}",
    "bad_characters": f"tcp://owner:{PASSWORD}@a\u2100b:1?token={KEY}",
    "bad_scheme": f"nothing://owner:{PASSWORD}@127.0.0.1:1?token={KEY}",
    "bad_peer": f"listen://owner:{PASSWORD}@0.0.0.0:0?peer=nobody&key={KEY}",
    "no_scheme": f"owner:{PASSWORD}@127.0.0.1:1?key={KEY}",
    "silent": f"tcp://owner:{PASSWORD}@127.0.0.1:SILENT?key={KEY}",
}

RIGHT: Mapping[str, dict[str, Any]] = {
    "sunsynk": {"source": "relay", "time_zone": "UTC", "listen": "127.0.0.1:0"},
}


def settings_with(family: str, link: str) -> list[dict[str, Any]]:
    """Return settings in which the address stands wherever one may."""
    if family != "sunsynk":
        return [{"link": link}, {"link": link, "observer": True}]
    return [
        {**RIGHT[family], "server": link},
        {**RIGHT[family], "server": link.partition("://")[2] or link},
        {**RIGHT[family], "server": "127.0.0.1:1", "listen": link},
        {**RIGHT[family], "server": "127.0.0.1:1", "peers": [link]},
        {"source": "live", "time_zone": "UTC", "interface": link},
        {"source": "file", "time_zone": "UTC", "path": link},
        {"source": "live", "time_zone": "UTC", "interface": "lo", "filter": link},
    ]


async def try_out(family: str, values: dict[str, Any], heard: Heard, silence: Silence) -> None:
    factory = factory_of(family)
    try:
        settings = factory.read(values)
    except LinkError as error:
        heard.add(error)
        return
    try:
        engine = factory.make(settings, Surroundings())
    except LinkError as error:
        heard.add(error)
        return
    async with running(engine) as changed, asyncio.timeout(60):
        while engine.snapshot.reason in (Reason.STARTING, None):
            if engine.statistics.last_error is not None:
                break
            if silence.arrived.is_set():
                silence.hang_up()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await changed.wait()
            changed.clear()
    snapshot = engine.snapshot
    heard.add(snapshot, snapshot.detail or "", *snapshot.notices)
    heard.add(json.dumps(engine.statistics.as_dict()), repr(dict(engine.diagnostics())))
    heard.add(*(frame.data.decode("latin-1") for frame in engine.frames))
    try:
        async with asyncio.timeout(60):
            heard.add(await factory.probe(settings, Surroundings(), seconds=0.3))
    except LinkError as error:
        heard.add(error)


@pytest.mark.parametrize("way", LINKS)
@pytest.mark.parametrize("family", sorted(factories()))
async def test_no_engine_shows_what_an_address_keeps_secret(
    family: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    heard, silence = Heard(), Silence()
    async with silence.open() as port:
        link = LINKS[way].replace("SILENT", str(port)).replace("REFUSED", str(free_port()))
        for values in settings_with(family, link):
            await try_out(family, values, heard, silence)
    assert heard.texts
    for record in caplog.records:
        heard.add(logging.Formatter("%(name)s %(message)s").format(record))
    heard.check()


async def test_an_unforeseen_error_is_logged_without_the_secrets_of_its_link(
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = f"esphome://h/?key={KEY}"
    told = asyncio.Event()
    details = []

    async def session(_stream: object) -> None:
        raise RuntimeError(f"{KEY} is no key")

    async def opens() -> object:
        return object()

    def changed(_state: object, _reason: object, detail: str | None) -> None:
        if detail is not None:
            details.append(detail)
            told.set()

    supervisor = Supervisor(
        f"The gateway at {address}",
        opens,
        session,
        on_change=changed,
        backoff=Backoff(60),
        address=address,
    )
    task = asyncio.ensure_future(supervisor.run())
    await told.wait()
    task.cancel()
    await asyncio.wait([task])
    assert details == ["RuntimeError: *** is no key"]
    assert "The gateway at esphome://h/?key=***: unforeseen error" in caplog.text
    assert "RuntimeError: *** is no key" in caplog.text
    assert KEY not in caplog.text


def test_errors_and_notices_are_masked_when_they_are_made() -> None:
    heard = Heard()
    link = f"tcp://u:{PASSWORD}@h:1?key={KEY}"
    heard.add(LinkError(Reason.REFUSED, f"{link} refuses", address=link))
    heard.add(Notice("refused", {"address": link}))
    heard.check()
    assert Notice("refused", {"address": link}).placeholders["address"] == ("tcp://***@h:1?key=***")


def test_a_chained_cause_is_not_shown_where_it_could_tell() -> None:
    heard = Heard()
    with pytest.raises(LinkError) as caught:
        make_opener(f"tcp://u:{PASSWORD}@a\u2100b:1?key={KEY}")
    heard.add(caught.value)
    heard.check()
    assert caught.value.reason is Reason.BAD_ADDRESS


# ---------------------------------------------------------------------------- every log call


def test_the_walk_finds_a_raw_address() -> None:
    bad = "_LOGGER.info('%s', self.settings.link); _LOGGER.debug(f'{one.url} x')"
    good = "_LOGGER.info('%s', masked(self.settings.link)); _LOGGER.info(self.link.name)"
    assert len(raw_addresses(bad)) == 2
    assert raw_addresses(good) == []


@pytest.mark.parametrize("package", [hardwired_engines, hardwired], ids=lambda one: one.__name__)
def test_no_log_call_formats_an_address_as_it_is(package: ModuleType) -> None:
    assert package.__file__ is not None
    calls, found = log_calls_with_raw_addresses(Path(package.__file__).parent)
    assert found == []
    assert calls > 20
