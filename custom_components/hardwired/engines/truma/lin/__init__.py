"""The LIN bus, pure: bytes in, frames out. Also runs in the responder's process.

:mod:`.frames` has identifiers, checksums and the receiver (spec b.1 - b.4). :mod:`.transport`
assembles and splits requests longer than a frame (spec b.5). :mod:`.log` reads recordings of the
bus.
"""
