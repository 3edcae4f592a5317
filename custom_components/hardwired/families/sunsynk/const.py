"""Keys of this family's config entries and options."""

from __future__ import annotations

KEY = "sunsynk"
CONF_SOURCE = "source"
CONF_PATH = "path"
CONF_INTERFACE = "interface"
CONF_FILTER = "filter"
CONF_PROMISCUOUS = "promiscuous"
CONF_LISTEN = "listen"
CONF_LISTEN_PORT = "listen_port"
CONF_SERVER = "server"
CONF_PEERS = "peers"
CONF_INVERTERS = "inverters"
CONF_WARP = "warp"
CONF_EXPIRE_AFTER = "expire_after"
CONF_GRID_POWER_BY_TEN = "grid_power_by_ten"
SECTION_MORE = "more"
