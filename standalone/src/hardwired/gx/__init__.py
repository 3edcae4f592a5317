"""The Victron GX as a sink: our devices on its screen, with what can be set there (spec g).

``map.json`` says which services a kind of device becomes; ``mapping`` reads it. ``driver`` is what
the GX's driver says of itself, ``registration`` what we register with it, ``values`` what is
sent, ``wishes`` what comes back. ``dialect`` speaks the registration protocol over them; ``sink``
runs it, with a connection for each device where the driver is the reference.
"""
