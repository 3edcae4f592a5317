"""The one who drives Home Assistant stays connected, and connects again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from demo.home_assistant import HomeAssistant, HomeAssistantError
from tests.ports import free_port


class Door:
    """Home Assistant's WebSocket and tokens, with a short patience."""

    def __init__(self, heartbeat: float | None = None) -> None:
        self._heartbeat = heartbeat
        self.open: list[web.WebSocketResponse] = []
        self.tokens = 0
        self.expires_in = 1800.0

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse(heartbeat=self._heartbeat)
        await answer.prepare(request)
        self.open.append(answer)
        await answer.send_json({"type": "auth_required"})
        token = (await answer.receive_json())["access_token"]
        known = token == f"access {self.tokens}"
        await answer.send_json({"type": "auth_ok" if known else "auth_invalid"})
        async for message in answer:
            asked = message.json()
            if asked["type"] == "never":
                continue
            fine = asked["type"] == "echo"
            result = {"success": fine, "result": asked.get("what"), "error": "unknown_command"}
            await answer.send_json({"id": asked["id"], "type": "event", "event": {}})
            await answer.send_json({"id": asked["id"], "type": "result", **result})
        return answer

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        refreshed = form["grant_type"] == "refresh_token"
        assert not refreshed or form["refresh_token"] == "refresh"
        self.tokens += 1
        tokens = {"access_token": f"access {self.tokens}", "expires_in": self.expires_in}
        return web.json_response(tokens if refreshed else {**tokens, "refresh_token": "refresh"})

    async def config(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer access {self.tokens}":
            return web.Response(status=401)
        return web.json_response({"state": "RUNNING"})

    async def user(self, request: web.Request) -> web.Response:
        return web.json_response({"auth_code": "code"})


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def ha(door: Door, tmp_path: Path) -> AsyncIterator[HomeAssistant]:
    app = web.Application()
    app.router.add_get("/api/websocket", door.socket)
    app.router.add_post("/auth/token", door.token)
    app.router.add_get("/api/config", door.config)
    app.router.add_get("/api/onboarding", door.user)
    app.router.add_post("/api/onboarding/users", door.user)
    sleeper = tmp_path / "bin" / "hass"
    sleeper.parent.mkdir()
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    one = HomeAssistant(tmp_path, environment=tmp_path, port=free_port())
    starting = asyncio.create_task(one.start())
    async with asyncio.timeout(60):
        while not one.running:
            await asyncio.sleep(0.01)
    async with TestServer(app, port=one.port):
        await starting
        await one.onboard()
        yield one
        await one.stop()


async def test_a_port_that_somebody_else_has_is_said(tmp_path: Path) -> None:
    async with TestServer(web.Application()) as other:
        one = HomeAssistant(tmp_path, environment=tmp_path, port=other.port)
        with pytest.raises(HomeAssistantError, match=f"port {other.port} can't be had"):
            await one.start()
        assert not one.running


def test_a_folder_takes_another_port(tmp_path: Path) -> None:
    for port in (8123, 8124):
        HomeAssistant(tmp_path, port=port).prepare()
        told = json.loads((tmp_path / ".storage" / "http").read_text())
        assert told["data"]["stable"]["server_port"] == port


@pytest.mark.parametrize("door", [Door(heartbeat=0.2)])
async def test_nobody_hangs_up_on_one_who_is_silent(door: Door, ha: HomeAssistant) -> None:
    assert await ha.command("echo", what=1) == 1
    await asyncio.sleep(1)  # five pings, two and a half patiences
    assert not door.open[0].closed
    assert await ha.command("echo", what=2) == 2
    assert len(door.open) == 1


async def test_a_closed_connection_is_made_again(door: Door, ha: HomeAssistant) -> None:
    for number in range(3):
        assert await ha.command("echo", what=number) == number
        line = ha._line
        assert line is not None
        await door.open[-1].close()
        while not line.closed:
            await asyncio.sleep(0)
    assert len(door.open) == 3


async def test_one_who_waits_is_told_that_it_was_closed(door: Door, ha: HomeAssistant) -> None:
    await ha.command("echo")
    waiting = asyncio.create_task(ha.command("never"))
    await asyncio.sleep(0)
    await door.open[-1].close()
    with pytest.raises(HomeAssistantError, match="closed"):
        await waiting
    assert await ha.command("echo", what="again") == "again"


async def test_a_refusal_is_the_commands_alone(ha: HomeAssistant) -> None:
    answers = await asyncio.gather(
        ha.command("echo", what=1), ha.command("wrong"), return_exceptions=True
    )
    assert answers[0] == 1
    assert isinstance(answers[1], HomeAssistantError)


async def test_the_token_is_renewed_before_it_ends(door: Door, ha: HomeAssistant) -> None:
    door.expires_in = 0.0
    for _ in range(3):
        await ha._take_tokens(grant_type="refresh_token", refresh_token="refresh")
        assert (await ha.get("/api/config"))["state"] == "RUNNING"
    assert await ha.command("echo", what=1) == 1
    assert door.tokens >= 7
