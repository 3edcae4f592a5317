"""Simulated dongles: the other half of the protocol, with their faults.

:mod:`.world` is the whole as a pure state machine, with its runners; :mod:`.plant` is the solar
plant behind a dongle, :mod:`.dongle` what a dongle makes of it; :mod:`.capture` writes it all as
a capture file.
"""
