"""Names that follow from a device's and a service's id (spec B.6)."""

from __future__ import annotations

import re

PREFIX = "com.victronenergy"
LONGEST_BUS_NAME = 255

CLIENT_ID = re.compile(r"[A-Za-z0-9_]+")
SERVICE_ID = re.compile(r"[A-Za-z0-9_]*")


def service_name(client_id: str, service_id: str) -> str:
    """Return the name that bus name, settings and serial number hang on."""
    return f"mqtt_{client_id}_{service_id}"


def is_name_of(name: str, client_id: str) -> bool:
    """Whether a name can belong to this client id only.

    ``mqtt_a_b_c`` may be service ``b_c`` of ``a`` or service ``c`` of ``a_b``.
    """
    start = f"mqtt_{client_id}_"
    return name.startswith(start) and "_" not in name[len(start) :]


def bus_name(kind: str, name: str) -> str:
    """Return the bus name of a service."""
    return f"{PREFIX}.{kind}.{name}"


def setting_path(name: str, path: str) -> str:
    """Return where a stored path is kept; ``path`` begins with a slash (spec D.4)."""
    return f"/Settings/MqttDevices/{name}{path}"


def instance_path(name: str) -> str:
    """Return where the instance number is kept (spec D.4)."""
    return f"/Settings/Devices/{name}/ClassAndVrmInstance"
