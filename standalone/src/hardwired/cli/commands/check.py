"""``hardwired check CONFIG``: file, secrets, links, sinks, one line a step.

No setting is written to a device; an engine sends what it must to hear anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hardwired_engines.engine import EngineError
from hardwired_engines.factory import Surroundings, factory_of
from hardwired_engines.masking import masked

from ...bridge.link import engine_settings
from ...bridge.settings import mask_of
from ...bridge.sink import Unusable
from ...bridge.sinks import load_type
from ...config.reader import Config
from ...config.schema import json_schema
from ...config.secrets import Environment, resolve
from ..arguments import seconds_of
from ..output import emit, tell
from ..progress import progress
from .config_file import UNUSABLE, NoConfig, read_file, with_family_complaints

HELP = "check a CONFIG.toml: the file, its secrets, links and sinks"
EXAMPLES = (
    "hardwired check /etc/hardwired/CONFIG.toml",
    "hardwired check CONFIG.toml --offline --json",
)
FAILED = 3
SINK_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step and how it went; ``ok`` is ``None`` for a remark."""

    step: str
    ok: bool | None
    text: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("config", type=Path, metavar="CONFIG", nargs="?")
    parser.add_argument("--offline", action="store_true", help="only the file")
    parser.add_argument(
        "--seconds", type=seconds_of, default=10.0, help="how long to listen per link (default 10)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a step")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of CONFIG")


def run(options: argparse.Namespace) -> int:
    """Check; returns the exit code."""
    if options.schema:
        sys.stdout.write(json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n")
        return 0
    if options.config is None:
        tell("hardwired check: CONFIG is missing")
        return 2
    say = _printer(options.json)
    path = str(options.config)
    try:
        config = read_file(options.config)
        if config.ok:
            config = with_family_complaints(config)
        _say_file(config, path, say)
        if options.offline:
            return 0
        resolved = _say_secrets(config, path, say)
    except NoConfig:
        return UNUSABLE
    return asyncio.run(_check(resolved, options.seconds, say))


def _printer(as_json: bool) -> Callable[[Step], None]:
    def say(step: Step) -> None:
        if as_json:
            emit({"step": step.step, "ok": step.ok, "text": step.text})
            return
        word = {True: "ok", False: "FAILED", None: "note"}[step.ok]
        sys.stdout.write(f"{word:7}{step.step}: {step.text}\n")
        sys.stdout.flush()

    return say


def _say_file(config: Config, path: str, say: Callable[[Step], None]) -> None:
    for error in config.errors:
        say(Step("file", False, error.told(path)))
    if config.ok:
        devices, sinks = config.value["devices"], config.value["sinks"]
        say(Step("file", True, f"{path}: {len(devices)} devices, {len(sinks)} sinks"))
    for warning in config.warnings:
        say(Step("file", None, warning.told(path)))
    if not config.ok:
        raise NoConfig
    for text in _remarks(config.value):
        say(Step("file", None, text))


def _say_secrets(config: Config, path: str, say: Callable[[Step], None]) -> Config:
    resolved = resolve(config, Environment())
    for warning in resolved.warnings[len(config.warnings) :]:
        say(Step("secrets", None, warning.told(path)))
    for error in resolved.errors:
        say(Step("secrets", False, error.told(path)))
    if not resolved.ok:
        raise NoConfig
    say(Step("secrets", True, f"{len(resolved.secrets) - resolved.usual} found"))
    return resolved


def _remarks(value: Mapping[str, Any]) -> list[str]:
    """Return what the owner should know: what listens, what is there twice (spec d.2, h.1)."""
    found = []
    for name, settings in value["devices"].items():
        link = str(settings.get("link") or "")
        if link.startswith("listen://"):
            found.append(f"devices.{name} listens on {masked(link).removeprefix('listen://')}")
        if settings.get("source") == "relay":
            found.append(f"devices.{name} listens on {settings['listen']}")
        if settings["native"] and any(entry["discovery"] for entry in settings["legacy"]):
            found.append(f"devices.{name} will be in Home Assistant twice: native and legacy")
    for name, settings in value["sinks"].items():
        if settings.get("profile") == "energy":
            found.append(
                f"sinks.{name}: with profile energy the GX's power balance, DVCC or ESS may act on "
                "what is registered"
            )
    if "http" in value:
        found.append(f"http listens on {value['http']['listen']}")
    return found


async def _check(config: Config, seconds: float, say: Callable[[Step], None]) -> int:
    mask = mask_of(config.value)
    failed = False
    for name, settings in config.value["devices"].items():
        if settings["enabled"]:
            step = await _check_link(name, settings, seconds)
            failed = failed or step.ok is False
            say(Step(step.step, step.ok, mask(step.text)))
    for name, settings in config.value["sinks"].items():
        if settings["enabled"]:
            step = await _check_sink(name, settings)
            failed = failed or step.ok is False
            say(Step(step.step, step.ok, mask(step.text)))
    return FAILED if failed else 0


async def _check_link(name: str, settings: Mapping[str, Any], seconds: float) -> Step:
    step = f"devices.{name}"
    factory = factory_of(settings["family"])
    surroundings = Surroundings(zone=datetime.now().astimezone().tzinfo)
    try:
        read = factory.read(engine_settings(settings))
        async with progress(f"{name}: listening", seconds):
            result = await factory.probe(read, surroundings, seconds=seconds)
    except EngineError as error:
        return Step(step, False, f"{error.key}: {error}")
    except OSError as error:
        return Step(step, False, str(error))
    if result.reason is not None:
        detail = f": {result.detail}" if result.detail else ""
        return Step(step, False, f"{result.reason.value}{detail}")
    found = ", ".join(device.name for device in result.devices) or "connected"
    return Step(step, True, found)


async def _check_sink(name: str, settings: Mapping[str, Any]) -> Step:
    step = f"sinks.{name}"
    try:
        module = load_type(settings["type"])
    except Unusable as error:
        return Step(step, False, str(error))
    try:
        async with asyncio.timeout(SINK_SECONDS):
            wrong: str | None = await module.check(settings)
    except TimeoutError:
        wrong = f"{_address(settings)}: timeout"
    return Step(step, wrong is None, wrong or f"{_address(settings)} takes us")


def _address(settings: Mapping[str, Any]) -> str:
    return str(settings.get("url") or f"{settings.get('host')}:{settings.get('port')}")
