"""``python3 -m mqtt_devices``."""

import sys

from .main import main

sys.exit(main())
