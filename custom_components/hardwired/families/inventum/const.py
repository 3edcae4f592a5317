"""Keys of this family's config entries and options."""

from __future__ import annotations

KEY = "inventum"
CONF_CODES = "codes"
CONF_LOGIN_CODE = "login_code"
CONF_CHALLENGE_CODE = "challenge_code"
CONF_SERIAL_NUMBER = "serial_number"
CONF_OTHER_POSITIONS = "other_positions"
CONF_RELEASE_ON_STOP = "release_on_stop"
CONF_FAN_COLUMN = "fan_column"
CONF_COLUMNS = "columns"
USB_IDS = frozenset({("0D59", "0007")})
