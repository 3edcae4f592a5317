"""A GX without a GX: stand-ins for what the driver finds there, and devices (spec I).

``settings``, ``system`` and ``gateway`` are the services of a GX, each held to recordings of the
real program and a process of its own; ``processes`` starts a private D-Bus daemon and a broker,
``relay`` spoils the line to it, ``rig`` holds all together. ``devices`` are gadgets that register,
``faults`` and ``noise`` what can go wrong. ``screen`` says what the display would show,
``drawing`` draws it. ``play`` is all of it for somebody who tries: ``hardwired simulate gx``.
"""
