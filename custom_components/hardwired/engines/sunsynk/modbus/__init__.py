"""The inverter's own Modbus: registers asked for instead of overheard (spec b.15, c.6, d.5, e.2).

:mod:`.frames` are the bytes, :mod:`.framing` finds the answer among what a line brings; both are
sans-I/O. :mod:`.image` makes values of registers, :mod:`.writable` says what may be written.
:mod:`.line` carries one request at a time over a link, :mod:`.inverter` reads one inverter with
it, :mod:`.writer` sets it.
"""
