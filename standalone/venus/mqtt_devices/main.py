"""The command line (spec G.1)."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Sequence

from . import NAME, VERSION, logs
from .config import Config, read_config
from .mqtt.client import Broker

_LOG = logging.getLogger("main")

MACHINE = Path("/etc/venus/machine")
CCGX_SERVICES = 8

# Words in the place of options, and the modules that carry them out.
_COMMANDS = {"import-services-yml": "services_yml", "migrate": "migration", "purge": "purge"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME, description="Makes Victron services of devices that register over MQTT."
    )
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument("--config", type=Path, help="configuration file (JSON)")
    parser.add_argument("--state", type=Path, help="file for what is kept over restarts")
    parser.add_argument("-d", "--debug", action="store_true", help="log more")
    parser.add_argument("-q", "--mqtt-server", help="host of the broker (127.0.0.1)")
    parser.add_argument("--mqtt-port", type=int, help="port of the broker (1883, with TLS 8883)")
    parser.add_argument("-u", "--mqtt-user", help="user at the broker")
    parser.add_argument("-P", "--mqtt-password", help="password at the broker")
    parser.add_argument("-c", "--mqtt-certificate", help="the broker's certificate: TLS is used")
    parser.add_argument("-b", "--dbus", help="address of the bus")
    parser.add_argument("-i", "--init-broker", action="store_true", help="has no effect")
    parser.add_argument("--check", action="store_true", help="try everything, say what is wrong")
    parser.add_argument("--check-imports", action="store_true", help=argparse.SUPPRESS)
    return parser


def override(config: Config, given: argparse.Namespace) -> Config:
    """Return a configuration in which the command line wins."""
    broker = config.mqtt
    if given.mqtt_certificate is not None:
        broker = broker._replace(ca=given.mqtt_certificate)
        if broker.port == Broker().port:
            broker = broker._replace(port=8883)
    named = {
        "host": given.mqtt_server,
        "port": given.mqtt_port,
        "user": given.mqtt_user,
        "password": given.mqtt_password,
    }
    broker = broker._replace(**{key: it for key, it in named.items() if it is not None})
    config = config._replace(mqtt=broker)
    if given.dbus is not None:
        config = config._replace(dbus=given.dbus)
    return config._replace(log_level="debug") if given.debug else config


def for_machine(config: Config, machine: Path = MACHINE) -> Config:
    """Return a configuration that a CCGX can bear: it is slow and has little memory."""
    try:
        weak = machine.read_text(encoding="ascii", errors="replace").strip() == "ccgx"
    except OSError:
        return config
    if weak and config.max_services == Config().max_services:
        return config._replace(max_services=CCGX_SERVICES)
    return config


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    words: list[str] = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in _COMMANDS:
        module = importlib.import_module("." + _COMMANDS[words[0]], __package__)
        return int(module.command(words[1:]))
    given = _parser().parse_args(words)
    config, problems = read_config(given.config)
    config = override(for_machine(config), given)
    logs.set_up(config.log_level)
    for problem in problems:
        _LOG.error("%s", problem)
    from . import check  # noqa: PLC0415
    from .driver import Driver  # noqa: PLC0415

    if given.check_imports:
        return 0
    if given.check:
        return asyncio.run(check.check(config, problems))
    _LOG.info("%s %s, Python %s, pid %d", NAME, VERSION, sys.version.split()[0], os.getpid())

    async def run() -> int:
        driver = Driver(
            config, given.state, given.config, lambda other: override(for_machine(other), given)
        )
        return await driver.run()

    return asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
