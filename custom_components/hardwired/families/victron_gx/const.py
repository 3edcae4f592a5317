"""Keys of this family's config entries and subentries."""

from __future__ import annotations

KEY = "victron_gx"
SUBENTRY = "export"
CONF_HOST = "host"
CONF_PORT = "port"
CONF_TLS = "tls"
CONF_PIN = "pin"
CONF_PAIR = "pair"
CONF_MORE = "more"
DEFAULT_HOST = "venus.local"
MQTT_SERVICE = "_victron-mqtt._tcp.local."
MANUFACTURER = "Victron Energy"
DOCS = "https://github.com/hardwired-ha/hardwired/blob/main/docs/venus.md"
CONSOLE_USER = "remoteconsole"
TOKEN_ROLE = "homeassistant"  # noqa: S105 - a role, no secret
