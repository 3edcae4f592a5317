"""sunsniff (bmerry): Sunsynk and Deye overheard, to MQTT and InfluxDB.

:mod:`.config` reads its configuration; :mod:`.mqtt` has its topics and what it announces to Home
Assistant, :mod:`.influx` its points.
:mod:`.dialect` is its place in the bridge (spec bridge d.1).
"""
