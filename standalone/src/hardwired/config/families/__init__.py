"""What each device family and its old programs take in CONFIG.toml, one module a family.

A family without one takes ``link`` and ``time_zone``.
"""
