"""What the dongle says, pure: bytes of a stream in, reports out (spec b).

:mod:`.envelope` cuts frames out of a stream, :mod:`.messages` tells their kinds apart,
:mod:`.report` reads a report. :mod:`.layouts` says which register stands where,
:mod:`.timestamps` when it was measured.
:mod:`.solarman` tells frames of other sticks from ours.
"""
