"""What an owner's actions ask of the driver: devices that are registered by hand (spec H.7)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from ..clock import Clock
from ..engine import InvalidCommand, NotConfirmed, NotConnected
from . import protocol
from .gx import ByHand, Gx
from .mqtt.client import Client
from .protocol import Message, Reply

REPLY_TIMEOUT = 5.0
LIST_TIMEOUT = 3.0


class Hands:
    """Carries the actions out.

    *client* returns the connection there is; *send* sends on one.
    """

    def __init__(
        self,
        gx: Gx,
        clock: Clock,
        client: Callable[[], Client | None],
        send: Callable[[Client, Message], None],
    ) -> None:
        self._gx = gx
        self._clock = clock
        self._client = client
        self._send = send
        self._replies: set[tuple[str, asyncio.Future[Reply]]] = set()
        self._lists: set[asyncio.Future[None]] = set()

    def connected(self) -> Client:
        """Return the connection to a GX that answers. Raises :class:`NotConnected`."""
        client = self._client()
        if client is None or not self._gx.connected:
            raise NotConnected
        return client

    # ------------------------------------------------------------------------- what is heard

    def replied(self, client_id: str, payload: bytes) -> None:
        """Take a reply of the driver."""
        reply = self._gx.receive_by_hand(client_id, payload)
        for ident, waiting in self._replies:
            if reply is not None and ident == client_id and not waiting.done():
                waiting.set_result(reply)

    def listed(self) -> None:
        """Take note that the driver has answered a list of its devices."""
        for waiting in self._lists:
            if not waiting.done():
                waiting.set_result(None)

    def lost(self) -> None:
        """End the waits: the connection is lost."""
        for _, waiting in self._replies:
            if not waiting.done():
                waiting.cancel()

    # ------------------------------------------------------------------------- what is asked

    async def register(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Register a device; return the driver's reply."""
        client_id, client = self._by_hand_id(options), self.connected()
        told = _object(options, "status")
        services = told.get("services")
        if not isinstance(services, dict) or not protocol.check_services(services):
            raise InvalidCommand(key="victron_gx_bad_services")
        status = {**told, "clientId": client_id, "connected": 1}
        if not await client.subscribe([protocol.reply_topic(client_id)]):
            raise NotConnected
        device = self._gx.by_hand[client_id] = ByHand(status)
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies.add((client_id, answer))
        try:
            self._send(client, protocol.status(status))
            async with self._clock.timeout(REPLY_TIMEOUT):
                reply = await answer
        except TimeoutError:
            if self._gx.by_hand.get(client_id) is device:
                del self._gx.by_hand[client_id]
            raise NotConfirmed(key="victron_gx_no_reply", client_id=client_id) from None
        except asyncio.CancelledError:
            if answer.cancelled() and self._client() is not client:
                raise NotConnected from None
            raise
        finally:
            self._replies.discard((client_id, answer))
        return dict(reply.raw)

    def unregister(self, options: Mapping[str, Any]) -> None:
        """Take a device off the GX."""
        client_id, client = self._by_hand_id(options), self.connected()
        self._gx.by_hand.pop(client_id, None)
        self._send(client, protocol.leave(client_id))

    def send(self, options: Mapping[str, Any]) -> None:
        """Send values of a device that is registered by hand."""
        client_id, client = _client_id(options), self.connected()
        device = self._gx.by_hand.get(client_id)
        ident = str(options.get("service", ""))
        reply = None if device is None else device.reply
        if reply is None or ident not in reply.topics:
            raise InvalidCommand(
                key="victron_gx_not_registered", client_id=client_id, service=ident
            )
        told = _object(options, "values")
        if not told or not all(_is_path(path) for path in told):
            raise InvalidCommand(key="victron_gx_bad_values")
        for message in protocol.values(client_id, reply, ident, told):
            self._send(client, message)

    async def forget(self, options: Mapping[str, Any]) -> None:
        """Have the driver forget a device; it answers a list when it takes commands at all."""
        client_id, client = _client_id(options), self.connected()
        listed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lists.add(listed)
        for told in ({"cmd": "forget", "clientId": client_id}, {"cmd": "list"}):
            payload = json.dumps(told, separators=(",", ":")).encode()
            self._send(client, Message(protocol.COMMAND_TOPIC, payload, 1))
        try:
            async with self._clock.timeout(LIST_TIMEOUT):
                await listed
        except TimeoutError:
            raise NotConfirmed(key="victron_gx_no_commands") from None
        finally:
            self._lists.discard(listed)

    def _by_hand_id(self, options: Mapping[str, Any]) -> str:
        """Return a client id that is no export's: those are enabled and disabled."""
        client_id = _client_id(options)
        if any(one.config.client_id == client_id for one in self._gx.exporters.values()):
            raise InvalidCommand(key="victron_gx_client_id_taken", client_id=client_id)
        return client_id


def _client_id(options: Mapping[str, Any]) -> str:
    client_id = options.get("client_id")
    if not isinstance(client_id, str) or not protocol.check_client_id(client_id):
        raise InvalidCommand(key="victron_gx_bad_client_id")
    return client_id


def _object(options: Mapping[str, Any], key: str) -> dict[str, Any]:
    told = protocol.loads(str(options.get(key, "")).encode())
    if not isinstance(told, dict):
        raise InvalidCommand(f"{key} is no JSON object")
    return told


def _is_path(path: str) -> bool:
    return bool(path) and "+" not in path and "#" not in path and not path[0].islower()
