"""MQTT: the connection, the native dialect, Home Assistant's discovery.

``client`` keeps one connection (back-off, reasons, acknowledgements), ``queue`` holds what waits
for it, ``sink`` runs the dialects of one broker over their connections. ``native`` is our own
dialect; it is made of ``topics``, ``values`` (texts in and out), ``discovery`` (components and
device messages), ``bridge_device`` and ``requests``. What says something on MQTT is pure; only
``client`` and ``sink`` touch the network.
"""
