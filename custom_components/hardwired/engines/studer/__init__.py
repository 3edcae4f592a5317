"""Studer Innotec Xtender plants, over SCOM through an Xcom-232i or an Xcom-LAN.

:mod:`.scom` is the wire: frames, values, matching, messages, files. :mod:`.datapoints` says what
can be read and set, within which bounds. :mod:`.plant` is what we know of the devices.
:mod:`.session` runs one open link: discovery, polling, commands.
:mod:`.engine` ties them together; :mod:`.settings` is what the owner chooses; :mod:`.catalogue`
turns datapoints into fields. :mod:`.simulator` plays a whole plant with its gateway.
"""
