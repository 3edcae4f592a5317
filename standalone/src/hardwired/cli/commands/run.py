"""``hardwired run CONFIG``: bridges until stopped."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from pathlib import Path

from hardwired_engines.masking import masked_text

from ...bridge.run import Bridge
from ...bridge.sink import Unusable
from ...bridge.state import State, state_folder
from ...config.secrets import Environment
from ...lock import Held, Lock
from ...ops.logs import Logs
from ...ops.notify import Notifier
from ...version import program_version
from ..arguments import seconds_of
from ..output import tell
from .config_file import UNUSABLE, NoConfig, load_config

HELP = "bridge the devices of a CONFIG.toml to its sinks, until stopped"
EXAMPLES = (
    "hardwired run /etc/hardwired/CONFIG.toml",
    "hardwired --log-level debug run CONFIG.toml --duration 10m",
)

_LOGGER = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the CONFIG.toml")
    parser.add_argument(
        "--duration", type=seconds_of, metavar="TIME", help="end by itself after 90, 10m, 2h, 1d"
    )
    parser.add_argument("--log-format", choices=("auto", "people", "journal", "json"))


def run(options: argparse.Namespace) -> int:
    """Bridge; returns the exit code."""
    environment = Environment()
    try:
        config = load_config(options.config, environment)
    except NoConfig:
        return UNUSABLE
    value = dict(config.value)
    value["log"] = _log_settings(value["log"], options)
    lock = None
    try:
        # The program ends with the loop: what hangs in a thread does not keep it.
        folder = state_folder(value["bridge"]["state_dir"])
        state = State.open(folder)
        if state.folder is not None:
            lock = Lock(state.folder / "lock")
        return asyncio.run(_run(options, value, environment, state))
    except Held as error:
        tell(f"hardwired: the state folder is in use: {error}")
        return UNUSABLE
    except Unusable as error:
        tell(f"hardwired: {error}")
        return UNUSABLE
    finally:
        if lock is not None:
            lock.release()


def _log_settings(told: dict[str, object], options: argparse.Namespace) -> dict[str, object]:
    found = dict(told)
    if options.log_level is not None:
        found["level"] = options.log_level
    if options.log_format is not None:
        found["format"] = options.log_format
    return found


async def _run(
    options: argparse.Namespace,
    value: dict[str, object],
    environment: Environment,
    state: State,
) -> int:
    holder: list[Bridge] = []

    def mask(text: str) -> str:
        return holder[0].mask(text) if holder else masked_text(text)

    logs = Logs(value["log"], mask)  # type: ignore[arg-type]
    logs.begin()
    bridge = Bridge(
        value,
        state,
        version=program_version(),
        logs=logs,
        notifier=Notifier(),
        hard_watchdog=True,
    )
    holder.append(bridge)
    handle_signals(options, bridge, environment)
    return await bridge.run(duration=options.duration)


def handle_signals(options: argparse.Namespace, bridge: Bridge, environment: Environment) -> None:
    """Have signals stop the bridge, read CONFIG again, tell how it is."""
    loop = asyncio.get_running_loop()
    asked = 0
    anew = asyncio.Event()

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            os._exit(130)
        _LOGGER.info("stopping")
        reloading.cancel()
        bridge.end()

    async def reload() -> None:
        try:
            config = await asyncio.to_thread(load_config, options.config, environment)
        except NoConfig:
            _LOGGER.error("%s can't be used; everything goes on as before", options.config)
            return
        value = dict(config.value)
        value["log"] = _log_settings(value["log"], options)
        await bridge.reload(value)

    async def reload_when_asked() -> None:
        """One after the other: two at once would start what the other has just started."""
        while True:
            await anew.wait()
            anew.clear()
            try:
                await reload()
            except Exception:
                _LOGGER.exception("%s was not taken over whole", options.config)

    reloading = loop.create_task(reload_when_asked())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, anew.set)
    loop.add_signal_handler(signal.SIGUSR1, bridge.log_state)
