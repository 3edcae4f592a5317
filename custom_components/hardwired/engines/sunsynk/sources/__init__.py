"""Where frames come from, while the engine runs (spec a.2).

:mod:`.selection` makes the one that the settings name; :mod:`.base` is what each of them gives.
:mod:`.file` reads a capture file, :mod:`.live` an interface, :mod:`.relay` relays the dongle's own
connection, :mod:`.simulated` simulates dongles in this process.
"""
