"""Simulated dongles: the other half of the protocol, with their faults.

:mod:`.world` is the whole as a pure state machine, with its runners; :mod:`.plant` is the solar
plant behind a dongle, :mod:`.dongle` the dongle itself; :mod:`.capture` writes a simulation as a
capture file. :mod:`.modbus` are inverters on a Modbus line.
"""
