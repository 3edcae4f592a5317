"""A simulated plant with its gateway: the other half of the protocol, with its faults.

:mod:`.world` is the whole as a pure state machine; :mod:`.settings` builds it from a URL.
:mod:`.plant` and :mod:`.machines` are the physics, :mod:`.devices` what answers on the bus,
:mod:`.gateway` the Xcom, :mod:`.portal` its other client, :mod:`.files` its card.
:mod:`.faults` are switches; :mod:`.truth` is what tests compare with; :mod:`.runners` put it
on a wire.
"""
