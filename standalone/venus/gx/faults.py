"""What goes wrong around the driver, to be played on purpose (spec I.1)."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Awaitable, Callable, NamedTuple

from mqtt_devices.mqtt.client import Broker, Client

from .rig import PORTAL_ID

if TYPE_CHECKING:
    from .processes import Process
    from .relay import Line, Relay
    from .rig import Rig

LASTS = 10.0  # s, when nothing else is said


class NoSuchFault(ValueError):
    """There is no such fault, or it can't be played here; the text says why."""


class Scene(NamedTuple):
    """What a fault acts on. ``relay`` is None when the broker is somebody else's."""

    rig: Rig
    relay: Relay | None
    broker: Broker


class Fault(NamedTuple):
    """One fault: ``play`` gets the scene and how long it lasts, in seconds."""

    text: str
    play: Callable[[Scene, float], Awaitable[None]]


# ------------------------------------------------------------------- programs that are away


async def _start(rig: Rig, process: Process) -> None:
    if not process.runs:
        await asyncio.get_running_loop().run_in_executor(None, process.start)
    rig.held.discard(process)


async def _stop(rig: Rig, process: Process, kill: bool) -> None:
    rig.held.add(process)
    await asyncio.get_running_loop().run_in_executor(None, process.stop, kill)


def _away(name: str, kill: bool = True) -> Callable[[Scene, float], Awaitable[None]]:
    async def play(scene: Scene, seconds: float) -> None:
        process: Process = getattr(scene.rig, name)
        if name == "broker":
            _relay(scene)
        await _stop(scene.rig, process, kill)
        try:
            await asyncio.sleep(seconds)
        finally:
            await _start(scene.rig, process)

    return play


async def _dbus_killed(scene: Scene, seconds: float) -> None:
    """Without its D-Bus a GX has nothing: what ends with it is started again by its supervisor."""
    await _stop(scene.rig, scene.rig.bus, kill=True)
    await asyncio.sleep(seconds)
    await _start(scene.rig, scene.rig.bus)


async def _gx_reboots(scene: Scene, seconds: float) -> None:
    """Everything ends, and comes back in an order that nobody knows."""
    chance = random.Random()  # noqa: S311 - an order
    parts = [it for it in scene.rig.all if it is not scene.rig.bus]
    for process in [*parts, scene.rig.bus]:
        await _stop(scene.rig, process, kill=True)
    await asyncio.sleep(seconds)
    await _start(scene.rig, scene.rig.bus)
    chance.shuffle(parts)
    for process in parts:
        await asyncio.sleep(chance.random())
        await _start(scene.rig, process)


async def _other_serial(scene: Scene, seconds: float) -> None:
    """A restored backup: for a while the GX says that it is another one."""
    system = scene.rig.system
    for serial in ("deadbeef0000", PORTAL_ID):
        await _stop(scene.rig, system, kill=False)
        system.command[-1] = serial
        await _start(scene.rig, system)
        if serial != PORTAL_ID:
            await asyncio.sleep(seconds)


# ----------------------------------------------------------------------------- the line


def _relay(scene: Scene) -> Relay:
    if scene.relay is None:
        raise NoSuchFault("that broker is not this program's: nothing is done to it")
    return scene.relay


def _line(change: Callable[[Line], Line], drop: bool = False) -> Callable[..., Awaitable[None]]:
    async def play(scene: Scene, seconds: float) -> None:
        relay = _relay(scene)
        before, relay.line = relay.line, change(relay.line)
        if drop:
            relay.drop()
        try:
            await asyncio.sleep(seconds)
        finally:
            relay.line = before

    return play


async def _connections_dropped(scene: Scene, seconds: float) -> None:
    relay = _relay(scene)
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        relay.drop()
        await asyncio.sleep(3.0)


# ----------------------------------------------------------------------------- messages


def _status(client_id: str, **more: object) -> str:
    return json.dumps({"clientId": client_id, "connected": 1, **more})


_THERMOMETER = _status("sim_odd", services={"t": "temperature"})

BAD = (
    ("device/sim_odd/Status", b""),
    ("device/sim_odd/Status", b"{"),
    ("device/sim_odd/Status", b"\xff\xfe\x00"),
    ("device/sim_odd/Status", b"5"),
    ("device/sim_odd/Status", b"[" * 40000),
    ("device/sim_odd/Status", b'{"clientId": "sim_odd", "connected": 1, "services": {"t": "x"}}'),
    ("device/sim_odd/Status", b'{"clientId": "sim odd", "connected": 1, "services": {}}'),
    ("device/sim_odd/Proxy", b""),
    ("device/sim_odd/Proxy", b"null"),
    ("device/sim_odd/Proxy", b'{"topicPath": "W/#", "values": {"A": 1}}'),
    ("device/sim_odd/Proxy", b'{"topicPath": 5, "values": {"": 1}}'),
)


async def _messages(scene: Scene, messages: list[tuple[str, bytes]], retain: bool = False) -> None:
    client = await Client.connect(scene.broker, "gx-faults", lambda message: None)
    for topic, payload in messages:
        client.publish(topic, payload, 1, retain)
    await client.close()


async def _malformed(scene: Scene, seconds: float) -> None:
    del seconds
    await _messages(scene, list(BAD))


async def _utf16(scene: Scene, seconds: float) -> None:
    del seconds
    odd = [("device/sim_odd/Status", _THERMOMETER.encode(it)) for it in ("utf-16", "utf-8-sig")]
    await _messages(scene, odd)


async def _huge(scene: Scene, seconds: float) -> None:
    del seconds
    padded = _status("sim_odd", services={}, version="x" * 1_000_000).encode()
    await _messages(scene, [("device/sim_odd/Status", padded)])


async def _retained_garbage(scene: Scene, seconds: float) -> None:
    """Garbage that a broker keeps is there again at every start of the driver."""
    topics = [(f"device/sim_odd_{n}/Status", payload) for n, (_, payload) in enumerate(BAD)]
    await _messages(scene, [it for it in topics if it[1]], retain=True)
    await _stop(scene.rig, scene.rig.driver, kill=False)
    await _start(scene.rig, scene.rig.driver)
    await asyncio.sleep(seconds)
    await _messages(scene, [(topic, b"") for topic, _ in topics], retain=True)


async def _odd_values(scene: Scene, seconds: float) -> None:
    """NaN, texts for numbers, null to what is stored, lists, objects.

    The name gets only what is no name, so that it stays.
    """
    del seconds
    nothing = ("NaN", "null", "[1, 2]", "{}", "1e999")
    words = {
        "Temperature": (*nothing, '"21.5"', '"warm"', "true", "1" * 300),
        "CustomName": nothing,
    }
    odd = [
        (f"W/{PORTAL_ID}/temperature/1/{path}", f'{{"value": {word}}}'.encode())
        for path, several in words.items()
        for word in several
    ]
    await _messages(scene, odd)


async def _settings_killed_meanwhile(scene: Scene, seconds: float) -> None:
    """The settings service dies while a device with twenty services registers."""
    services = {f"s{number}": "temperature" for number in range(20)}
    await _messages(
        scene, [("device/sim_odd/Status", _status("sim_odd", services=services).encode())]
    )
    await _away("settings")(scene, seconds)
    gone = {"clientId": "sim_odd", "connected": 0}
    await _messages(scene, [("device/sim_odd/Status", json.dumps(gone).encode())])


async def _broker_killed_meanwhile(scene: Scene, seconds: float) -> None:
    """The broker dies in the middle of a burst of values."""
    _relay(scene)
    topic = f"W/{PORTAL_ID}/temperature/1/Temperature"
    burst = [(topic, f'{{"value": {number / 10}}}'.encode()) for number in range(2000)]
    sending = asyncio.ensure_future(_messages(scene, burst))
    await asyncio.sleep(0.05)
    await _away("broker")(scene, seconds)
    await asyncio.gather(sending, return_exceptions=True)


FAULTS: dict[str, Fault] = {
    "broker-away": Fault(
        "the broker is killed, and back without retained messages", _away("broker")
    ),
    "connections-dropped": Fault("every 3 s all connections are cut", _connections_dropped),
    "login-refused": Fault(
        "whoever connects is refused", _line(lambda it: it._replace(refuse=True), drop=True)
    ),
    "login-slow": Fault(
        "the broker takes 6 s to say yes", _line(lambda it: it._replace(slow_login=6.0), drop=True)
    ),
    "messages-twice": Fault(
        "every message of QoS 1 comes twice", _line(lambda it: it._replace(twice=True))
    ),
    "latency": Fault("a second from end to end", _line(lambda it: it._replace(latency=0.5))),
    "settings-away": Fault("the settings service is killed, and back", _away("settings")),
    "system-away": Fault(
        "the service that says the portal id is gone", _away("system", kill=False)
    ),
    "other-serial": Fault("the portal id is another one for a while", _other_serial),
    "settings-away-meanwhile": Fault(
        "the settings service is killed in the middle of a registration", _settings_killed_meanwhile
    ),
    "broker-away-meanwhile": Fault(
        "the broker is killed in the middle of a burst", _broker_killed_meanwhile
    ),
    "gateway-away": Fault("the gateway is killed, and back", _away("gateway")),
    "driver-killed": Fault("the driver is killed, and back", _away("driver")),
    "dbus-killed": Fault("the D-Bus daemon is killed, and all with it", _dbus_killed),
    "reboot": Fault("everything ends, and comes back in any order", _gx_reboots),
    "malformed": Fault("messages that are none", _malformed),
    "utf-16": Fault("a registration in UTF-16, and one with a byte order mark", _utf16),
    "huge": Fault("a message of a million bytes", _huge),
    "retained-garbage": Fault("garbage that the broker keeps, and a restart", _retained_garbage),
    "odd-values": Fault("NaN, texts, null and lists as values", _odd_values),
}


def read(text: str) -> tuple[Fault, float]:
    """Return the fault that ``NAME[:SECONDS]`` means, and how long; raises NoSuchFault."""
    name, _, seconds = text.partition(":")
    if name not in FAULTS:
        raise NoSuchFault(f"there is no fault {name!r}; there are: {', '.join(FAULTS)}")
    try:
        lasts = float(seconds) if seconds else LASTS
    except ValueError:
        raise NoSuchFault(f"{seconds!r} are no seconds") from None
    if not 0 <= lasts <= 86400:
        raise NoSuchFault(f"{seconds} s: more than a day, or less than nothing")
    return FAULTS[name], lasts
