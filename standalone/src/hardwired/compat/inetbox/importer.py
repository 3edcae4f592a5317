"""The file of inetbox.py to one of ours (spec d.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..importing import Imported, Refused, Said, note, warning, without_defaults
from ..settings import ConfigError
from .config import InetboxConfig, parse
from .texts import Kind, Language

DEVICE, SINK = "truma", "mqtt"
BUS_BAUD = 9600
_LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warning"}
_STOP = "stop and disable miqro_truma.service first: two boxes on one bus answer at the same time"
_OWN_TLS = "is not carried over: TLS 1.2 and newer with the system's ciphers"


def convert(content: str, environ: Mapping[str, str] | None = None) -> Imported:
    """Return what becomes of it in an environment. Raises :class:`Refused`."""
    try:
        old = parse(content, environ)
    except ConfigError as error:
        raise Refused(str(error)) from None
    said = [warning(text) for text in old.warnings]
    config: dict[str, Any] = {}
    if log := _log(old):
        config["log"] = log
    config["devices"] = {DEVICE: _device(old)}
    config["sinks"] = {SINK: _sink(old, said)}
    if old.log_dir is not None:
        text = 'is not carried over: "hardwired record truma" writes such a log when it is wanted'
        said.append(warning(text, "services.truma.log_dir"))
    if old.baudrate != BUS_BAUD:
        said.append(
            warning(f"is not carried over: the bus has {BUS_BAUD}", "services.truma.baudrate")
        )
    said.append(note(_STOP))
    return Imported(config, tuple(said))


def _log(old: InetboxConfig) -> dict[str, Any]:
    found: dict[str, Any] = without_defaults(level=(_LEVELS.get(old.log_level, "error"), "info"))
    if old.debug_app or old.debug_lin or old.debug_protocol:
        found["levels"] = {"truma": "debug"}
    return found


def _device(old: InetboxConfig) -> dict[str, Any]:
    modes = old.texts.words(Kind.HEATING_MODE)
    entry = {
        "dialect": "inetbox.py",
        "sink": SINK,
        **without_defaults(
            data_topic=(old.data_topic, "service/truma/"),
            language=(old.texts.language.value, Language.NONE.value),
            default_target_temp_room=(old.default_target_temp_room, 5.0),
            default_heating_mode=(
                None if old.default_heating_mode == 1 else modes[old.default_heating_mode],
                None,
            ),
            updates_buffer_time=(old.updates_buffer_time, 1.0),
            set_time=(old.set_time, False),
            ha_optimistic=(old.ha_optimistic, False),
            extended_texts=(old.texts.extended, False),
            discovery_prefix=(old.ha_discovery_prefix, "homeassistant"),
        ),
    }
    return {
        "family": "truma",
        "link": old.serial_device,
        **without_defaults(
            clock_sync=(old.set_time, False), time_zone=(old.timezone_override, None)
        ),
        "native": False,
        "legacy": [entry],
    }


def _sink(old: InetboxConfig, said: list[Said]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "mqtt",
        "host": old.host,
        **without_defaults(
            port=(old.port, None if old.tls else 1883),
            username=(old.username, None),
            password=(old.password, None),
            keepalive=(max(old.keepalive, 5), 60),
        ),
    }
    tls = old.tls
    if tls is None:
        return found
    found |= {
        "tls": True,
        **without_defaults(
            ca_file=(tls.ca_certs, None),
            cert_file=(tls.certfile, None),
            # One file may hold both.
            key_file=(tls.certfile and (tls.keyfile or tls.certfile), None),
        ),
    }
    if tls.keyfile and not tls.certfile:
        said.append(warning("is not used without certfile", "tls.keyfile"))
    if tls.cert_reqs == "CERT_NONE":
        found["verify"] = "none"
        text = 'the broker\'s certificate is not checked at all; verify = "full" does it'
        said.append(warning(text, "tls.cert_reqs"))
    said += [
        warning(_OWN_TLS, f"tls.{name}")
        for name, value in (("tls_version", tls.tls_version), ("ciphers", tls.ciphers))
        if value is not None
    ]
    return found
