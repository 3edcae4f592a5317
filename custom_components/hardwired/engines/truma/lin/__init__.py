"""The LIN bus, pure: bytes in, frames out. Also runs in the responder's process.

:mod:`.frames` has identifiers, checksums and the receiver (spec a).
:mod:`.transport` puts requests longer than a frame together and takes them apart (spec b).
:mod:`.log` reads recordings of the bus.
"""
