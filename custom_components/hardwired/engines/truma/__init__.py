"""Truma heaters and air conditioners behind a CP Plus panel; we act as the iNet box on the LIN bus.

:mod:`.lin` are the frames, :mod:`.inet` the box and the buffers that they carry, :mod:`.node` the
responder's process and its supervision. :mod:`.installation` is what we know of the devices,
:mod:`.rules` what may be asked of them, :mod:`.engine` ties them together. ``lin`` and ``inet``
also run in the responder's own small process: they import nothing but the standard library and
each other. :mod:`.simulator` simulates the panel and the vehicle.
"""
