"""From frames to readings that can be shown.

:mod:`.decoder` decodes a whole capture; :mod:`.report_pipeline` takes frames from any source;
:mod:`.history` compares with earlier reports: duplicates, counters that may only rise, the zone.
"""
