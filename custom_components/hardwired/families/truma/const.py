"""Keys of this family's config entries and options."""

from __future__ import annotations

KEY = "truma"
CONF_OBSERVER = "observer"
CONF_IDENTITY = "identity"
CONF_CLOCK_SYNC = "clock_sync"
CONF_TRUST_CLOCK = "trust_clock"
CONF_DEFAULT_HEATING_MODE = "default_heating_mode"
