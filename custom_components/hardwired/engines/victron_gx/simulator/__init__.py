"""A GX without a GX: broker, portal id and the driver for MQTT devices, in this process.

``broker`` is the other end of MQTT, pure; ``driver`` answers registrations, keeps what is written
and tells what somebody sets on the screen; ``gx`` puts them together, with faults, behind
``sim://`` or a TCP port. Home Assistant's entities are not simulated: they are the real thing.
"""
