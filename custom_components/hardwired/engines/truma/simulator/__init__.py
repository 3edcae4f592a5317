"""A simulated CP Plus with its bus and vehicle: the other half of the protocol, with its faults.

:mod:`.world` is the bus as a pure state machine; :mod:`.panel` is the bus' master, :mod:`.nodes`
the others on it, :mod:`.rival` a second box. :mod:`.physics` is the vehicle, :mod:`.habits` its
owner; :mod:`.personalities` and :mod:`.settings` say which panel it is. :mod:`.faults` are
switches, :mod:`.orders` what an operator can type, :mod:`.measure` what is measured.
:mod:`.runner` and :mod:`.process` put it on a serial port in a process of its own.
"""
