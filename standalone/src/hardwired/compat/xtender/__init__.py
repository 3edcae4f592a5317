"""xtender_mqtt (TeepCo), the program ``xtmq``: Studer by MQTT.

:mod:`.config` reads its configuration; :mod:`.mqtt` has its topics and what it announces to Home
Assistant, :mod:`.names` its names of datapoints.
:mod:`.dialect` is its place in the bridge (spec bridge d.1).
"""
