"""Starts the driver from the folder that it was installed in; nothing outside is needed."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0] = HERE
sys.path.insert(1, os.path.join(HERE, "vendor"))
sys.path.append(os.path.join(HERE, "shims"))  # last: what the GX itself has comes first

from mqtt_devices.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
