"""A driver for Venus OS: devices that register over MQTT become Victron services on D-Bus.

The map, from the inside out: ``values``, ``rows``, ``tables`` say what a service has; ``status``,
``proxy``, ``reply``, ``options`` and ``channels`` are the protocol; ``rules`` and ``texts`` judge
and show a value; ``energy``, ``stale``, ``limits`` count over time. None of these does any input
or output. ``bus``, ``settings``, ``system``, ``service`` speak D-Bus, ``mqtt`` speaks MQTT;
``devices`` and ``driver`` tie them together; ``config``, ``state``, ``migration`` keep files.
Python 3.8 to 3.14, nothing but the standard library and dbus-fast.
"""

NAME = "mqtt-devices"
VERSION = "1.0.0"
