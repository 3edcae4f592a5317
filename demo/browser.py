"""Screenshots of a running Home Assistant by headless Chromium, over its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from .home_assistant import HomeAssistant

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)

DRAWN_WITHIN = 180.0
"""Seconds within which a page must be drawn, also on a busy machine."""
LOOK_EVERY = 0.3
QUIET_WITHIN = 30.0
"""Seconds after which a page that never comes to rest counts as drawn."""

LOOK = """
(() => {
  const app = document.querySelector('home-assistant');
  if (!(app && app.hass && app.hass.states && Object.keys(app.hass.states).length)
      || document.querySelector('#ha-launch-screen')) return null;
  let elements = 0, turning = 0;
  const texts = [];
  const walk = (root) => {
    for (const one of root.querySelectorAll('*')) {
      elements += 1;
      if (/spinner|loading-screen/.test(one.localName)
          && one.checkVisibility({opacityProperty: true, visibilityProperty: true})) turning += 1;
      for (const child of one.childNodes) {
        if (child.nodeType === Node.TEXT_NODE) texts.push(child.data);
      }
      if (one.shadowRoot) walk(one.shadowRoot);
    }
  };
  walk(document);
  return {elements, turning, text: texts.join(' ').replace(/\\s+/g, ' ')};
})()
"""
"""What a page looks like, shadow roots included; ``null`` before Home Assistant is there."""

PRESS = """
((text) => {
  let found = null;
  const walk = (root) => {
    for (const one of root.querySelectorAll('*')) {
      if (one.textContent.trim() === text && one.checkVisibility()) found = one;
      if (one.shadowRoot) walk(one.shadowRoot);
    }
  };
  walk(document);
  if (found) found.click();
  return Boolean(found);
})(%s)
"""
"""Clicks what shows a text; ``false`` where nothing does."""


def chromium() -> str | None:
    """Return the browser's path, ``None`` where there is none."""
    return (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )


class Browser:
    """One headless browser, logged in to a Home Assistant."""

    def __init__(
        self,
        home_assistant: HomeAssistant,
        width: int = 1400,
        height: int = 1000,
        zone: str | None = None,
    ) -> None:
        self._ha = home_assistant
        self._environment = {**os.environ, **({} if zone is None else {"TZ": zone})}
        self._size = f"--window-size={width},{height}"
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._page: aiohttp.ClientWebSocketResponse | None = None
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Browser:
        path = chromium()
        if path is None:
            raise RuntimeError("no Chromium on this machine")
        self._process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [path, *FLAGS, self._size, f"--user-data-dir={self._profile.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        )
        self._session = aiohttp.ClientSession()
        port_file = Path(self._profile.name) / "DevToolsActivePort"
        port = await self._until(
            lambda: port_file.exists() and port_file.read_text().split("\n")[0]
        )
        pages: list[dict[str, Any]] = []
        while not pages:
            async with self._session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
        self._page = await self._session.ws_connect(
            pages[0]["webSocketDebuggerUrl"], max_msg_size=0
        )
        tokens = {
            **self._ha.tokens,
            "hassUrl": self._ha.url,
            "clientId": f"{self._ha.url}/",
            "expires": int(time.time() * 1000) + 1_500_000,
        }
        await self._send("Page.enable")
        await self._send(
            "Page.addScriptToEvaluateOnNewDocument",
            source=f"localStorage.setItem('hassTokens', {json.dumps(json.dumps(tokens))});",
        )
        return self

    async def __aexit__(self, *_details: object) -> None:
        if self._page is not None:
            with contextlib.suppress(Exception):
                await self._send("Browser.close")
            await self._page.close()
        if self._session is not None:
            await self._session.close()
        if self._process is not None:
            try:
                await asyncio.to_thread(self._process.wait, 10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        self._profile.cleanup()

    async def darken(self, dark: bool) -> None:
        """Ask pages for their dark or light form."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self._send("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(
        self,
        path: str,
        target: Path,
        shows: Sequence[str] = (),
        presses: Sequence[str] = (),
        settle: float = 2.0,
    ) -> Path:
        """Open a page of the frontend, wait until it is drawn, write a PNG.

        Drawn means: nothing turns, all texts of *shows* are there, and for *settle* seconds
        nothing was added. Then what shows each text of *presses* is clicked, one after the other.
        """
        await self._send("Page.navigate", url=self._ha.url + path)
        await self._drawn(path, shows, settle)
        for text in presses:
            if not await self._evaluate(PRESS % json.dumps(text)):
                raise RuntimeError(f"{path} shows no {text!r} to press")
            await self._drawn(path, (), settle)
        picture = await self._send("Page.captureScreenshot", format="png")
        target.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(target.write_bytes, base64.b64decode(picture["data"]))
        return target

    async def _drawn(self, path: str, shows: Sequence[str], settle: float) -> None:
        deadline = time.monotonic() + DRAWN_WITHIN
        most, since, complete = 0, 0.0, 0.0
        lacks = "Home Assistant"
        while (now := time.monotonic()) < deadline:
            page = await self._evaluate(LOOK)
            if page is not None:
                missing = [text for text in shows if text not in page["text"]]
                lacks = ", ".join(missing) or "an end of loading"
                if missing or page["turning"]:
                    most = 0
                elif not most:
                    most, since, complete = page["elements"], now, now
                elif page["elements"] > most:
                    most, since = page["elements"], now
                if most and (now - since >= settle or now - complete >= QUIET_WITHIN):
                    return
            await asyncio.sleep(LOOK_EVERY)
        raise RuntimeError(f"{path} is not drawn after {DRAWN_WITHIN:.0f} s, it lacks {lacks}")

    async def _evaluate(self, expression: str) -> Any:
        answer = await self._send("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer.get("result", {}).get("value")

    async def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        assert self._page is not None
        number = next(self._ids)
        await self._page.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._page.receive_json(timeout=60)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result

    @staticmethod
    async def _until(condition: Any, timeout: float = 30.0) -> Any:
        deadline = time.monotonic() + timeout
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise RuntimeError("the browser did not start")
            await asyncio.sleep(0.1)
        return found
