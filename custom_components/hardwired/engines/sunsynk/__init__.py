"""Sunsynk and Deye hybrid inverters with an Inteless Wi-Fi dongle, by passive capture.

:mod:`.capture` goes from a capture file or an interface to TCP streams, :mod:`.dongle` from
bytes of a stream to reports and their registers. :mod:`.pipeline` takes report after report
and keeps what is doubtful out; :mod:`.sources` are where frames come from. :mod:`.inverters` is
what we know of the devices, :mod:`.engine` ties them together.
:mod:`.catalogue` is the one table of fields, :mod:`.register_words` how words become values.
:mod:`.simulator` plays dongles.
"""
