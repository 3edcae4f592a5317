"""Truma heaters and air conditioners behind a CP Plus panel: we play the iNet box on the LIN bus.

``lin``, ``transport``, ``buffers`` and ``box`` also run in the responder's own small process: they
import nothing but the standard library and each other.
"""
