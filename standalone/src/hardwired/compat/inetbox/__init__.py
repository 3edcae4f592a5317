"""inetbox.py (danielfett) and inetbox2mqtt (mc0110): Truma by MQTT.

:mod:`.config` reads their configuration; :mod:`.mqtt` has their topics, :mod:`.texts` the words
on them; :mod:`.set_messages` turns what is set into changes; :mod:`.discovery` is what they
announce to Home Assistant.
:mod:`.dialect` is its place in the bridge (spec bridge d.1).
"""
