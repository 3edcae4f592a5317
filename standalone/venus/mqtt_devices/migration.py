"""Taking over from the reference driver: its start line and version become a config (spec G.5)."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple, Sequence

PROGRAM = "dbus_mqtt_devices.py"

_WITH_VALUE = {
    "-q": "host",
    "--mqtt-server": "host",
    "-u": "user",
    "--mqtt-user": "user",
    "-P": "password",
    "--mqtt-password": "password",
    "-c": "ca",
    "--mqtt-certificate": "ca",
    "-b": "dbus",
    "--dbus": "dbus",
}
_FLAGS = {"-d": "debug", "--debug": "debug", "-i": "", "--init-broker": ""}


_QUOTED = r"""'[^']*'|"(?:\\.|[^"\\])*"|\\."""
_PART = re.compile(_QUOTED + r"""|[^'"\\]""")
_TOKEN = re.compile(
    r"(?P<to>[0-9]*[<>]+&?\s*[^\s;&|]*)"
    r"|(?P<end>[;&|()]+)"
    r"|(?P<comment>#)"
    r"|(?P<word>(?:" + _QUOTED + r"|[^\s;&|()<>])+)"
)


_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")


class Found(NamedTuple):
    """A configuration, and what could not be taken over."""

    config: dict[str, Any]
    notices: list[str]


def old_words(run: str) -> list[str] | None:
    """Return the words after the old program's name; None when the text does not start it."""
    joined = run.replace("\\\n", " ")
    for line in joined.splitlines():
        words = _words(line) if PROGRAM in line else []
        for index, word in enumerate(words):
            if word.endswith(PROGRAM):
                return words[index + 1 :]
    return None


def _words(line: str) -> list[str]:
    """Split a line as the shell does, up to where its first command with our program ends.

    A sign that ends a command, or begins a comment, does so where a word could begin or outside
    of quotes only; where output goes is passed over.
    """
    words: list[str] = []
    for found in _TOKEN.finditer(line):
        if found["comment"]:
            break
        if found["end"]:
            if any(word.endswith(PROGRAM) for word in words):
                break
            words.clear()
        elif found["word"]:
            words.append(_PART.sub(_unquoted, found["word"]))
    return words


def _unquoted(part: re.Match[str]) -> str:
    text = part[0]
    if text.startswith("'"):
        return text[1:-1]
    if text.startswith('"'):
        return re.sub(r'\\(["\\$`])', r"\1", text[1:-1])
    return text[1:] if text.startswith("\\") else text


def old_folder(run: str) -> str | None:
    """Return the folder of the old program, as its start line names it.

    Its own script names the folder by a variable, which it sets in a line before.
    """
    known: dict[str, str] = {}
    for line in run.replace("\\\n", " ").splitlines():
        for word in line.split():
            if word.endswith("/" + PROGRAM):
                return _VARIABLE.sub(lambda it: known.get(it[1] or it[2], it[0]), word)[
                    : -len(PROGRAM) - 1
                ]
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            known[name] = value.strip("\"'")
    return None


def convert_arguments(run: str) -> Found:
    """Return the configuration that an old ``service/run`` means (spec M2)."""
    found: dict[str, str] = {}
    notices: list[str] = []
    words = old_words(run) or []
    while words:
        word = words.pop(0)
        key, value = _option(word, words)
        if key is None:
            continue
        if value is None:
            found[key] = ""
        elif "$" in value:
            found.pop(key, None)
            shown = "it" if key == "password" else value
            notices.append(f"{key} is not taken over: {shown} is not expanded")
        else:
            found[key] = value
    return Found(_config(found), notices)


def _option(word: str, words: list[str]) -> tuple[str | None, str | None]:
    """Return the key and value of a word; takes the next word when it is the value."""
    if word in _FLAGS:
        return (_FLAGS[word] or None), None
    if word in _WITH_VALUE:
        return (_WITH_VALUE[word], words.pop(0)) if words else (None, None)
    name, equals, value = word.partition("=")
    if equals and name.startswith("--") and name in _WITH_VALUE:
        return _WITH_VALUE[name], value
    if word[:2] in _WITH_VALUE and not word.startswith("--"):
        return _WITH_VALUE[word[:2]], word[2:]
    return None, None


def _config(found: dict[str, str]) -> dict[str, Any]:
    broker: dict[str, Any] = {}
    if found.get("host") not in (None, "", "127.0.0.1"):
        broker["host"] = found["host"]
    for key in ("user", "password"):
        if key in found:
            broker[key] = found[key]
    if "ca" in found:
        broker.update(port=8883, ca=found["ca"])
    config: dict[str, Any] = {}
    if broker:
        config["mqtt"] = broker
    if "dbus" in found:
        config["dbus"] = found["dbus"]
    if "debug" in found:
        config["log_level"] = "debug"
    return config


def needs_legacy_reply(version: str) -> bool:
    """Whether devices of that driver version wait for ``DeviceInstance`` (spec M4)."""
    found = re.search(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < (0, 9)


def command(arguments: Sequence[str]) -> int:
    """``migrate --run FILE --config FILE``: write a config, unless there is one."""
    parser = argparse.ArgumentParser(prog="migrate", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="the old service/run")
    parser.add_argument("--config", type=Path, required=True, help="the config to write")
    parser.add_argument("--root", default="", help="put in front of the paths that run names")
    given = parser.parse_args(list(arguments))
    if given.config.exists():
        print(f"{given.config} is there already and stays as it is")  # noqa: T201
        return 0
    try:
        run = given.run.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        print(f"the old driver's start line is not read: {error}", file=sys.stderr)  # noqa: T201
        return 1
    config, notices = convert_arguments(run)
    folder = old_folder(run)
    if folder is not None:
        _from_folder(Path(given.root + folder), given.config, config, notices)
    given.config.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for notice in notices:
        print(notice)  # noqa: T201
    print(f"{given.config} is written")  # noqa: T201
    return 0


def _from_folder(folder: Path, target: Path, config: dict[str, Any], notices: list[str]) -> None:
    """Add what the old installation's files say: its version, and types of the owner's own."""
    from .services_yml import added_types, read  # noqa: PLC0415 - rarely used

    try:
        version = (folder / "VERSION").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        version = folder.name
    if needs_legacy_reply(version):
        config["legacy_device_instance"] = True
    file = folder / "services.yml"
    if not file.exists():
        return
    try:
        # Releases before 0.9 had other defaults: only what is added can be told from the owner's.
        changes = not needs_legacy_reply(version)
        types = added_types(read(file.read_text(encoding="utf-8-sig")), changes)
    except (OSError, ValueError) as error:
        notices.append(f"{file} is not taken over: {error}")
        return
    if types:
        own = target.with_name("types.json")
        own.write_text(json.dumps({"types": types}, indent=1) + "\n", encoding="utf-8")
        config["types_file"] = str(own)
        notices.append("types of your own are in {}: {}".format(own, ", ".join(types)))
