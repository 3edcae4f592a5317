"""From frames to readings that can be shown.

:mod:`.decoder` decodes a whole capture; :mod:`.reception` takes frame after frame, from wherever;
:mod:`.history` knows what came before: duplicates, counters that may only rise, the dongle's zone.
"""
