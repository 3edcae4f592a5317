"""The demonstration: a real Home Assistant with every device simulated.

Starts Home Assistant in a folder of its own, makes a user, sets the integration up through its
config flow, puts two weeks of history behind it, lays out dashboards and automations, prints the
address and the login, and runs until Ctrl-C. *Restart* in Home Assistant's menu brings it back.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from .automations import install_blueprints, make_automations
from .browser import Browser, chromium
from .columns import name_columns
from .dashboard import URL_PATH, make_dashboard
from .devices import DEVICES, DemoDevice
from .energy import make_energy_dashboard
from .folder import InUse, Kept, held
from .gx import FAMILY as GX, Gx, show_the_home
from .history import make_history
from .home_assistant import HomeAssistant, HomeAssistantError, own_zone
from .options import read
from .pasts import pasts
from .texts import LANGUAGES, TEXTS

USER = "demo"
PASSWORD = "hardwired"
SETTLE = 60.0
"""Seconds until the recorder has made the first statistics of its own."""
PAGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "integration": ("/config/integrations/integration/hardwired", ()),
    "add": ("/config/integrations/dashboard/add?domain=hardwired", ("OK",)),
}
"""Pages of Home Assistant itself that are pictured, too, and what is pressed there."""


def say(text: str) -> None:
    """Tell the person at the terminal how far it is."""
    print(text, flush=True)


async def run(options: argparse.Namespace, lock: int) -> int:
    """Run the demonstration in ``options.folder`` until it is stopped; returns the exit code."""
    kept = Kept.read(options.folder)
    if kept is not None:
        for remark in kept.unlike(options.language, options.only):
            say(remark)
        options.language, options.only = kept.language, sorted(kept.families) or options.only
    options.language = options.language or LANGUAGES[0]
    ha = HomeAssistant(
        options.folder,
        port=options.port,
        host=options.host,
        name=TEXTS[options.language]["home"],
        language=options.language,
        zone=afternoon(datetime.now(UTC)) if options.pictures else own_zone(),
        hands_on=(lock,),
    )
    gx = Gx(options.folder, options.language) if wants(options, GX) else None
    stop, ready = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        code = await unless(stop, live(ha, gx, options, ready))
    except (HomeAssistantError, aiohttp.ClientError, OSError) as error:
        say(f"The demonstration failed: {error}")
        return 1
    finally:
        say("Stopping ...")
        await ha.stop()
        if gx is not None:
            await gx.stop()
    if code is not None:
        return code
    return 0 if ready.is_set() else 130


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, int]) -> int | None:
    """Return what *work* returns; ``None`` when it was stopped before, wherever it waits."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    for one in (working, stopping):
        one.cancel()
    await asyncio.wait([working, stopping])
    return None if working.cancelled() else working.result()


async def live(
    ha: HomeAssistant, gx: Gx | None, options: argparse.Namespace, ready: asyncio.Event
) -> int:
    """Set all up, tell that it is ready, and let it run until Home Assistant ends by itself.

    Returns the exit code.
    """
    started = time.monotonic()
    say("Starting Home Assistant (the first start takes longest) ...")
    ha.prepare()
    install_blueprints(ha)
    if gx is not None:
        gx.prepare()
    path = await set_up(ha, options, gx)
    say(f"\nReady after {time.monotonic() - started:.0f} s.")
    ready.set()
    say_where(ha, f"http://{_shown(options.host)}:{ha.port}{path}", gx)
    if options.pictures:
        await take_pictures(ha, path, options.pictures)
        return 0
    say("Ctrl-C stops everything.")
    while ha.running or ha.wants_restart:
        if ha.wants_restart:
            say("Starting Home Assistant again, as was chosen there ...")
            await ha.start()
        await asyncio.sleep(1)
    say(f"Home Assistant has ended by itself:\n{ha.tail()}")
    return 1


def say_where(ha: HomeAssistant, address: str, gx: Gx | None) -> None:
    """Tell where everything is."""
    say(f"  Open     {address}")
    say(f"  User     {USER}")
    say(f"  Password {PASSWORD}")
    say(f"  Log      {ha.log}")
    if gx is not None and gx.there:
        say(f"  GX       broker at 127.0.0.1:{gx.port}, log {gx.log}")


def wants(options: argparse.Namespace, family: str) -> bool:
    """Whether a family is part of the demonstration."""
    return not options.only or family in options.only


async def set_up(ha: HomeAssistant, options: argparse.Namespace, gx: Gx | None = None) -> str:
    """Make the user, the devices and the dashboard; returns the path to open."""
    showing = None if gx is None else asyncio.ensure_future(gx.runs())
    if gx is not None and showing is not None and options.only == [GX] and not await showing:
        raise HomeAssistantError(f"the Victron GX can't be shown: {gx.why_not()}")
    await ha.start()
    has_gx = showing is not None and await showing
    if gx is not None and not has_gx:
        say(f"The Victron GX is left out: {gx.why_not()}")
    if await ha.has_user():
        there = ", ".join(options.only or ()) or "all devices"
        say(f"The folder holds an earlier demonstration ({options.language}; {there}); it goes on.")
        await ha.log_in(USER, PASSWORD)
        return f"/{URL_PATH}"
    say(f"Making the user {USER} ...")
    await ha.onboard(USER, PASSWORD, options.language)
    if options.language != LANGUAGES[0]:
        await ha.speak(options.language)
    chosen = [one for one in DEVICES if wants(options, one.family) and (has_gx or one.family != GX)]
    say(f"Setting up {', '.join(device.title for device in chosen)} ...")
    families_there = [device.family for device in chosen]
    remembering = asyncio.ensure_future(asyncio.to_thread(pasts, families_there, ha.zone))
    steps = [gx.steps if gx and device.external else device.steps for device in chosen]
    made = await asyncio.gather(
        *(add(ha, device, walk) for device, walk in zip(chosen, steps, strict=True))
    )
    families = dict(zip(made, families_there, strict=True))
    await ha.wait_for("values of all devices", lambda: alive(ha, chosen, made), timeout=180)
    await name_columns(ha, families, options.language)
    for entry_id, family in families.items():
        if family == GX:
            say("Showing some of it on the GX ...")
            await show_the_home(ha, families, entry_id, options.language)
    say("Putting two weeks behind them, laying out the dashboards ...")
    energy, *_ = await asyncio.gather(
        make_energy_dashboard(ha, families, options.language),
        make_automations(ha, families, options.language),
        make_history(ha, families, await remembering),
        heat_the_van(ha, families),
    )
    return await make_dashboard(ha, families, options.language, energy)


def afternoon(now: datetime) -> str:
    """Return a time zone where the sun has shone today: a picture at night shows little."""
    east = (15 - now.hour + 11) % 24 - 11
    return f"Etc/GMT{-east:+d}" if east else "UTC"


async def add(ha: HomeAssistant, device: DemoDevice, steps: Iterable[Mapping[str, Any]]) -> str:
    """Set a device up through the config flow; returns its entry's id."""
    result = await ha.configure(*steps)
    if result["type"] != "create_entry":
        raise HomeAssistantError(f"{device.title}: the flow ended with {result}")
    entry_id: str = result["result"]["entry_id"]
    return entry_id


async def alive(ha: HomeAssistant, chosen: list[DemoDevice], entries: list[str]) -> bool:
    """Return whether each device has told what it is waited for."""
    states = await ha.states()
    told = {
        (one["config_entry_id"], one["unique_id"])
        for one in await ha.command("config/entity_registry/list")
        if states.get(one["entity_id"], {}).get("state", "unknown")
        not in ("unknown", "unavailable")
    }
    return all(
        any(entry_id == mine and unique_id.endswith(ending) for mine, unique_id in told)
        for device, entry_id in zip(chosen, entries, strict=True)
        for ending in device.ready
    )


async def heat_the_van(ha: HomeAssistant, families: Mapping[str, str]) -> None:
    """Switch the heating and the hot water on, as its owner does on the way there."""
    wishes: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
        "climate": ("_room", "set_temperature", {"temperature": 20, "hvac_mode": "heat"}),
        "water_heater": ("_water", "set_operation_mode", {"operation_mode": "eco"}),
    }
    for entity in await ha.command("config/entity_registry/list"):
        domain = entity["entity_id"].partition(".")[0]
        if domain not in wishes or families.get(entity["config_entry_id"] or "") != "truma":
            continue
        ending, action, data = wishes[domain]
        if entity["unique_id"].endswith(ending):
            await ha.call(domain, action, entity_id=entity["entity_id"], **data)


async def take_pictures(ha: HomeAssistant, path: str, folder: Path) -> None:
    """Write a picture of each view, light and dark, for the pages of the documentation."""
    say(f"Letting the graphs fill for {SETTLE:.0f} s ...")
    await asyncio.sleep(SETTLE)
    config = await ha.command("lovelace/config", url_path=path.strip("/"))
    views = {view["path"]: (f"{path}/{view['path']}", ()) for view in config["views"]}
    async with Browser(ha, height=1100, zone=ha.zone) as browser:
        for dark in (False, True):
            await browser.darken(dark)
            for name, (page, presses) in {**views, **PAGES}.items():
                target = (folder / "dark" if dark else folder) / f"{name}.png"
                await browser.screenshot(page, target, presses=presses, settle=8.0)
                say(f"  {target}")


def _shown(host: str) -> str:
    return "localhost" if host in ("0.0.0.0", "127.0.0.1") else host


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run; returns the exit code."""
    options = read(arguments, __doc__)
    if options.only is not None:
        options.only = list(dict.fromkeys(options.only))
    if options.pictures and chromium() is None:
        say("--pictures needs Chromium: apt-get install chromium fonts-dejavu-core")
        return 1
    passing = options.folder is None
    if passing:
        options.folder = Path(tempfile.mkdtemp(prefix="hardwired-demo-"))
    try:
        with held(options.folder) as lock:
            return asyncio.run(run(options, lock))
    except (InUse, OSError) as error:
        say(str(error))
        return 1
    finally:
        if passing:
            shutil.rmtree(options.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
