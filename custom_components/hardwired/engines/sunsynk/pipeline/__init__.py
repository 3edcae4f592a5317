"""From frames to readings that can be shown.

:mod:`.decoder` decodes a whole capture; :mod:`.report_pipeline` takes frames from any source;
:mod:`.history` compares with earlier reports: duplicates, order, the zone;
:mod:`.energy_counters` keeps impossible steps out, :mod:`.grid_power` notices a unit of 10 W.
"""
