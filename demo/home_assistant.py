"""Start a real Home Assistant in a folder of its own, and drive it as a browser does."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 300.0
STOP_TIMEOUT = 120.0
PATIENCE = 180.0
ZONE = "Europe/Amsterdam"
RESTART_CODE = 100
"""With which Home Assistant ends when it is to be started again."""

CONFIGURATION = """\
homeassistant:
  name: {name}
  latitude: 52.1
  longitude: 5.1
  elevation: 5
  unit_system: metric
  time_zone: {zone}
  country: NL
  currency: EUR
  language: {language}
frontend:
config:
history:
recorder:
  commit_interval: 1
logbook:
energy:
usb:
sun:
diagnostics:
repairs:
system_health:
automation: !include automations.yaml
logger:
  default: warning
  logs:
    homeassistant.bootstrap: info
    homeassistant.core: info
    custom_components.hardwired: info
"""


def own_zone() -> str:
    """Return this computer's time zone, so that its clock is the demonstration's."""
    name = os.environ.get("TZ", "") or os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    return name if name in available_timezones() else ZONE


class HomeAssistantError(Exception):
    """Home Assistant did not do what was asked; the message says what."""


def free_port() -> int:
    """Return a TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def http_storage(host: str, port: int) -> dict[str, Any]:
    """Return what Home Assistant stores of its web server, with this address in it."""
    stable = {
        "server_host": [host],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": False,
        "ssl_profile": "modern",
        "use_x_frame_options": True,
        "created_at": "2026-01-01T00:00:00+00:00",
        "error": None,
        "error_message": None,
    }
    return {
        "version": 2,
        "minor_version": 2,
        "key": "http",
        "data": {"stable": stable, "pending": None, "yaml_migration_done": True},
    }


class _Line:
    """A WebSocket that is logged in, and read all the time.

    Home Assistant pings every minute and hangs up on who does not answer; an answer needs somebody
    who reads, also while nobody waits for a result.
    """

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket_
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    @property
    def closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._socket.closed or self._reading.done()

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                answer = json.loads(message.data)
                waiting = self._waiting.get(answer.get("id"))
                if answer["type"] == "result" and waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(HomeAssistantError("the WebSocket was closed"))

    async def command(self, kind: str, fields: Mapping[str, Any]) -> Any:
        """Return the result of a command."""
        number = next(self._ids)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json({"id": number, "type": kind, **fields})
            async with asyncio.timeout(PATIENCE):
                answer = await waiting
        finally:
            del self._waiting[number]
        if not answer["success"]:
            raise HomeAssistantError(f"{kind}: {answer['error']}")
        return answer["result"]

    async def close(self) -> None:
        """Hang up."""
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._socket.close()


class HomeAssistant:
    """One Home Assistant process: its folder, its API, its log."""

    def __init__(
        self,
        folder: Path,
        *,
        environment: Path = ROOT / ".venv" / "ha",
        port: int | None = None,
        host: str = "127.0.0.1",
        name: str = "Hardwired",
        language: str = "en",
        zone: str = ZONE,
        hands_on: Sequence[int] = (),
    ) -> None:
        """*hands_on*: files that the process has open as long as it lives, such as a lock."""
        self.folder = folder
        self._hands_on = tuple(hands_on)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "hass.log"
        self.tokens: dict[str, Any] = {}
        self._stale = 0.0  # monotonic seconds: when the access token is renewed
        self._host = host
        self._name = name
        self._language = language
        self.zone = zone
        self._lock = asyncio.Lock()
        self._hass = environment / "bin" / "hass"
        self._process: subprocess.Popen[bytes] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._line: _Line | None = None
        self._log_start = 0

    async def __aenter__(self) -> HomeAssistant:
        self.prepare()
        await self.start()
        return self

    async def __aexit__(self, *_details: object) -> None:
        await self.stop()

    def prepare(self) -> None:
        """Write the configuration folder: settings, an open door to the API, our integration."""
        storage = self.folder / ".storage"
        storage.mkdir(parents=True, exist_ok=True)
        (self.folder / "configuration.yaml").write_text(
            CONFIGURATION.format(name=self._name, language=self._language, zone=self.zone),
            encoding="utf-8",
        )
        automations = self.folder / "automations.yaml"
        if not automations.exists():
            automations.write_text("[]\n", encoding="utf-8")
        components = self.folder / "custom_components"
        components.mkdir(exist_ok=True)
        link = components / "hardwired"
        if not link.exists():
            shutil.copytree(
                ROOT / "custom_components" / "hardwired",
                link,
                ignore=shutil.ignore_patterns("*.pyc.*"),  # what another process writes just now
            )
        seeds: dict[str, Mapping[str, Any]] = {
            "http": http_storage(self._host, self.port),
            "onboarding": {
                "version": 4,
                "minor_version": 1,
                "key": "onboarding",
                "data": {"done": ["core_config", "analytics", "integration"]},
            },
        }
        for key, content in seeds.items():
            if key == "http" or not (storage / key).exists():  # the port may be another one now
                (storage / key).write_text(json.dumps(content), encoding="utf-8")

    async def start(self) -> None:
        """Start the process and wait until its API answers.

        Raises :class:`HomeAssistantError` when it ends, and when the port is somebody else's: that
        one would answer in its place.
        """
        self._needs_port()
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        environment.pop("PYTHONPATH", None)
        if self.zone != ZONE:
            environment["TZ"] = self.zone  # the simulated devices' wall clocks follow it
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [
                    str(self._hass),
                    "--config",
                    str(self.folder),
                    "--skip-pip",
                    "--log-no-color",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                pass_fds=self._hands_on,
            )
        await self._hang_up()  # from the process before
        if self._session is None:
            self._session = aiohttp.ClientSession()
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if self._process.poll() is not None:
                raise HomeAssistantError(
                    f"Home Assistant ended with code {self._process.returncode}:\n{self.tail()}"
                )
            with contextlib.suppress(aiohttp.ClientError):
                async with self._session.get(f"{self.url}/api/onboarding") as answer:
                    if answer.status in (200, 401, 404):
                        return
            if time.monotonic() > deadline:
                raise HomeAssistantError(f"no answer in {START_TIMEOUT:.0f} s:\n{self.tail()}")
            await asyncio.sleep(0.2)

    def _needs_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host, self.port))
            except OSError as error:
                raise HomeAssistantError(
                    f"port {self.port} can't be had ({error.strerror}); choose another one"
                ) from error

    async def stop(self) -> int | None:
        """Stop the process as a service manager does; returns its exit code."""
        await self._hang_up()
        if self._session is not None:
            await self._session.close()
            self._session = None
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(process.wait, STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return await asyncio.to_thread(process.wait)

    async def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def ended(self) -> None:
        """Wait until the process has ended by itself."""
        assert self._process is not None
        await asyncio.to_thread(self._process.wait, STOP_TIMEOUT)

    @property
    def wants_restart(self) -> bool:
        """Whether the process has ended because somebody chose *Restart*."""
        return self._process is not None and self._process.poll() == RESTART_CODE

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise HomeAssistantError("it is not running")
        return self._process.pid

    def tail(self, lines: int = 40) -> str:
        """Return the end of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def onboard(
        self, username: str = "demo", password: str = "demo", language: str = "en"
    ) -> None:
        """Make the first user and log in."""
        answer = await self._request(
            "POST",
            "/api/onboarding/users",
            json={
                "client_id": f"{self.url}/",
                "name": username.title(),
                "username": username,
                "password": password,
                "language": language,
            },
        )
        await self._take_code(answer["auth_code"])

    async def speak(self, language: str) -> None:
        """Show the user this language, whatever their browser asks for."""
        formats = dict.fromkeys(("number_format", "date_format", "first_weekday"), "language")
        value = {"language": language, **formats, "time_format": "language", "time_zone": "local"}
        await self.command("frontend/set_user_data", key="language", value=value)

    async def has_user(self) -> bool:
        """Return whether the first user was made in an earlier run."""
        assert self._session is not None
        async with self._session.get(f"{self.url}/api/onboarding") as answer:
            if answer.status == 404:
                return True
            return all(step["done"] for step in await answer.json() if step["step"] == "user")

    async def log_in(self, username: str, password: str) -> None:
        """Log in as a user that exists."""
        client = {"client_id": f"{self.url}/"}
        flow = await self._request(
            "POST",
            "/auth/login_flow",
            json={**client, "handler": ["homeassistant", None], "redirect_uri": f"{self.url}/"},
        )
        answer = await self._request(
            "POST",
            f"/auth/login_flow/{flow['flow_id']}",
            json={**client, "username": username, "password": password},
        )
        if answer["type"] != "create_entry":
            raise HomeAssistantError(f"the login of {username} is refused: {answer.get('errors')}")
        await self._take_code(answer["result"])

    async def _take_code(self, code: str) -> None:
        await self._take_tokens(grant_type="authorization_code", code=code)

        async def started() -> bool:
            config = await self.get("/api/config")
            return bool(config["state"] == "RUNNING")

        await self.wait_for("the end of the start", started)

    async def _take_tokens(self, **grant: str) -> None:
        fresh = await self._answer(
            "POST", "/auth/token", {}, data={"client_id": f"{self.url}/", **grant}
        )
        self.tokens.update(fresh)  # a refresh answers without the token that it was asked with
        self._stale = time.monotonic() + fresh["expires_in"] / 2

    async def _access_token(self) -> str:
        if time.monotonic() > self._stale:
            await self._take_tokens(
                grant_type="refresh_token", refresh_token=self.tokens["refresh_token"]
            )
        token: str = self.tokens["access_token"]
        return token

    async def _request(self, method: str, path: str, **arguments: Any) -> Any:
        headers = {}
        if self.tokens:
            headers["Authorization"] = f"Bearer {await self._access_token()}"
        return await self._answer(method, path, headers, **arguments)

    async def _answer(
        self, method: str, path: str, headers: Mapping[str, str], **arguments: Any
    ) -> Any:
        assert self._session is not None
        async with self._session.request(
            method, self.url + path, headers=headers, **arguments
        ) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise HomeAssistantError(f"{method} {path}: {answer.status} {text}")
            return json.loads(text) if text else None

    async def get(self, path: str) -> Any:
        """Return what a GET of the API answers."""
        return await self._request("GET", path)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return what a POST to the API answers."""
        return await self._request("POST", path, json=dict(body or {}))

    async def delete(self, path: str) -> Any:
        """Return what a DELETE of the API answers."""
        return await self._request("DELETE", path)

    async def command(self, kind: str, **fields: Any) -> Any:
        """Return the result of a WebSocket command."""
        async with self._lock:
            line = self._line
            if line is None or line.closed:
                line = self._line = await self._connect()
        return await line.command(kind, fields)

    async def _connect(self) -> _Line:
        assert self._session is not None
        socket_ = await self._session.ws_connect(
            f"{self.url.replace('http', 'ws', 1)}/api/websocket", max_msg_size=0
        )
        await socket_.receive_json(timeout=PATIENCE)
        await socket_.send_json({"type": "auth", "access_token": await self._access_token()})
        answer = await socket_.receive_json(timeout=PATIENCE)
        if answer["type"] != "auth_ok":
            raise HomeAssistantError(f"the WebSocket refused the login: {answer}")
        return _Line(socket_)

    async def configure(
        self, *steps: Mapping[str, Any], handler: str = "hardwired"
    ) -> dict[str, Any]:
        """Walk through a config flow; a step may name the next one of a menu.

        Progress steps are waited for. Returns the last result.
        """
        return await self._walk("/api/config/config_entries/flow", handler, steps)

    async def add_subentry(
        self, entry_id: str, kind: str, *steps: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Walk through the flow that adds a subentry to an entry; returns the last result."""
        return await self._walk(
            "/api/config/config_entries/subentries/flow", [entry_id, kind], steps
        )

    async def _walk(
        self, path: str, handler: str | list[str], steps: Iterable[Mapping[str, Any]]
    ) -> dict[str, Any]:
        result = await self.post(path, {"handler": handler})
        for step in steps:
            result = await self._settled(path, result)
            result = await self.post(f"{path}/{result['flow_id']}", step)
        final: dict[str, Any] = await self._settled(path, result)
        return final

    async def _settled(self, path: str, result: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while result["type"] in ("progress", "progress_done", "external_done"):
            if time.monotonic() > deadline:
                raise HomeAssistantError(f"the flow hangs at {result}")
            await asyncio.sleep(0.2)
            result = await self.get(f"{path}/{result['flow_id']}")
        return result

    async def states(self) -> dict[str, dict[str, Any]]:
        """Return all states by entity id."""
        return {state["entity_id"]: state for state in await self.get("/api/states")}

    async def call(self, domain: str, service: str, *, answer: bool = False, **data: Any) -> Any:
        """Call an action; with *answer*, return its response."""
        query = "?return_response" if answer else ""
        return await self.post(f"/api/services/{domain}/{service}{query}", data)

    async def wait_for(self, what: str, condition: Any, timeout: float = PATIENCE) -> Any:
        """Return the first true answer of *condition*, an async callable; bounded by *timeout*."""
        deadline = time.monotonic() + timeout
        while True:
            if found := await condition():
                return found
            if not self.running:
                raise HomeAssistantError(f"it ended while waiting for {what}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise HomeAssistantError(f"{what}: not within {timeout:.0f} s:\n{self.tail()}")
            await asyncio.sleep(0.1)

    def forget_log(self) -> None:
        """Let :meth:`log_text` and :meth:`complaints` begin here."""
        self._log_start = self.log.stat().st_size

    def log_text(self) -> str:
        """Return the log since :meth:`forget_log`, or all of it."""
        return self.log.read_bytes()[self._log_start :].decode(errors="replace")

    def complaints(self) -> Iterator[str]:
        """Yield the warnings and errors of the log that concern the integration."""
        for line in self.log_text().splitlines():
            ours = "hardwired" in line and "not been tested by Home Assistant" not in line
            if ours and (" ERROR " in line or " WARNING " in line):
                yield line
