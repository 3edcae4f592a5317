"""From captured packets to TCP streams.

:mod:`.pcap` reads capture files, :mod:`.live` an interface; :mod:`.writer` writes files.
:mod:`.packet` finds the TCP segment in a packet, :mod:`.segments` in many at once;
:mod:`.reassembly` puts a stream together, :mod:`.stream` all streams of a capture into frames.
:mod:`.filter` understands tcpdump's filters, :mod:`.bpf` makes the kernel's.
:mod:`.packet_builder` builds packets.
"""
