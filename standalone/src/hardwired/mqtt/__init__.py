"""MQTT: the connection, the native dialect, Home Assistant's discovery.

``client`` keeps one connection (back-off, reasons, acknowledgements), ``outbox`` holds what waits
for it, ``sink`` runs the dialects of one broker, each on a connection of its own. ``native`` is
our own dialect: ``voices`` (whom it speaks of), ``topics``, ``values`` (texts out and in),
``native_device`` (all of one device), ``components`` and ``announcement`` (discovery),
``bridge_device``, ``requests``, ``adoption``, ``texts`` (languages). What says something on MQTT
is pure; only ``client`` touches the network.
"""
