"""The demonstration: a real Home Assistant with every device simulated.

Starts Home Assistant in a folder of its own, makes a user, sets the integration up through its
config flow, lays out a dashboard, prints the address and the login, and runs until Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from .browser import Browser
from .dashboard import make_dashboard
from .devices import DEVICES
from .energy import make_energy_dashboard
from .home_assistant import HomeAssistant, HomeAssistantError

USER = "demo"
PASSWORD = "hardwired"
DEFAULT_PORT = 8123
SETTLE = 60.0
"""Seconds until the graphs of the pictures show something."""


def say(text: str) -> None:
    """Tell the person at the terminal how far it is."""
    print(text, flush=True)


async def run(options: argparse.Namespace) -> int:
    """Run the demonstration until it is stopped; returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    folder = Path(options.folder or tempfile.mkdtemp(prefix="hardwired-demo-"))
    ha = HomeAssistant(folder, port=options.port, host=options.host, name="Hardwired demo")
    started = time.monotonic()
    try:
        say("Starting Home Assistant (the first start takes longest) ...")
        ha.prepare()
        starting = asyncio.ensure_future(set_up(ha, options))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
            return 130
        path = starting.result()
        say("")
        say(f"Ready after {time.monotonic() - started:.0f} s.")
        say(f"  Open     http://{_shown(options.host)}:{ha.port}{path}")
        say(f"  User     {USER}")
        say(f"  Password {PASSWORD}")
        say(f"  Log      {ha.log}")
        if options.pictures:
            await take_pictures(ha, path, options.pictures)
            return 0
        say("Ctrl-C stops everything.")
        while not stop.is_set() and ha.running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await stop.wait()
        if not stop.is_set():
            say(f"Home Assistant has ended by itself:\n{ha.tail()}")
            return 1
    except HomeAssistantError as error:
        say(f"The demonstration failed: {error}")
        return 1
    finally:
        say("Stopping ...")
        await ha.stop()
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


async def set_up(ha: HomeAssistant, options: argparse.Namespace) -> str:
    """Make the user, the devices and the dashboard; returns the path to open."""
    await ha.start()
    say(f"Making the user {USER} ...")
    await ha.onboard(USER, PASSWORD, options.language)
    families: dict[str, str] = {}
    for device in DEVICES:
        if options.only and device.family not in options.only:
            continue
        say(f"Setting up {device.title} ...")
        result = await ha.configure(*device.steps)
        if result["type"] != "create_entry":
            raise HomeAssistantError(f"{device.title}: the flow ended with {result}")
        entry_id = result["result"]["entry_id"]
        families[entry_id] = device.family

        async def alive(entry_id: str = entry_id, ready: str = device.ready) -> bool:
            states = await ha.states()
            return any(
                states.get(one["entity_id"], {}).get("state", "unknown")
                not in ("unknown", "unavailable")
                for one in await ha.command("config/entity_registry/list")
                if one["config_entry_id"] == entry_id and one["unique_id"].endswith(ready)
            )

        await ha.wait_for(f"values of {device.title}", alive, timeout=120)
    say("Laying out the dashboards ...")
    for entry_id, family in families.items():
        if family == "sunsynk":
            await make_energy_dashboard(ha, entry_id)
    return await make_dashboard(ha, families)


async def take_pictures(ha: HomeAssistant, path: str, folder: Path) -> None:
    """Write a picture of each view, light and dark, for the pages of the documentation."""
    say(f"Letting the graphs fill for {SETTLE:.0f} s ...")
    await asyncio.sleep(SETTLE)
    config = await ha.command("lovelace/config", url_path=path.strip("/"))
    views = {view["path"]: f"{path}/{view['path']}" for view in config["views"]}
    views["energy"] = "/energy"
    async with Browser(ha) as browser:
        for dark in (False, True):
            await browser.darken(dark)
            for name, page in views.items():
                target = folder / f"{name}{'-dark' if dark else ''}.png"
                await browser.screenshot(page, target, settle=8.0)
                say(f"  {target}")


def _shown(host: str) -> str:
    return "localhost" if host in ("0.0.0.0", "127.0.0.1") else host


def main() -> int:
    """Read the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="default: %(default)s")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this computer only)"
    )
    parser.add_argument("--folder", type=Path, help="keep the configuration in this folder")
    parser.add_argument(
        "--only",
        action="append",
        choices=[device.family for device in DEVICES],
        help="only this device family (may be repeated)",
    )
    parser.add_argument(
        "--language", default="en", choices=("en", "nl", "de", "fr"), help="default: %(default)s"
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="write pictures of the pages and end"
    )
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
