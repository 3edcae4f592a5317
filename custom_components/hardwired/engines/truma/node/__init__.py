"""Our node on the bus.

:mod:`.responder` is a process of its own that keeps the LIN deadline; it is started by file path
and needs nothing but the standard library, ``lin`` and ``inet``.
:mod:`.node` is the engine's side of it: it starts and feeds the process, and ends one of which
:mod:`.liveness` says that it hangs.
:mod:`.messages` are the lines between the two.
"""
