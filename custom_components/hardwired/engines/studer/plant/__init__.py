"""What we know of the devices of a plant.

:mod:`.plant` holds the units with their values and bounds, and makes the snapshot's devices.
:mod:`.availability` is the state machine between online and offline.
:mod:`.totals` turns daily counters into totals; :mod:`.stored_state` keeps them over restarts.
"""
