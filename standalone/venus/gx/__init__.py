"""A GX without a GX: stand-ins for what the driver finds there (spec I).

``settings`` is the settings service, ``system`` says the portal id, ``gateway`` bridges MQTT and
D-Bus, ``screen`` says what the display would show, ``devices`` are gadgets that register.
``processes`` starts a private D-Bus daemon and a broker; ``python3 -m gx`` runs all of it. Each
stand-in is held to recordings of the real program, and can be run, killed and started alone.
"""
