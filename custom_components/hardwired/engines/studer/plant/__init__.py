"""What we know of the devices of a plant.

:mod:`.plant` holds the units with their values and bounds, and makes the snapshot's devices.
:mod:`.availability` is the state machine from present to lost.
:mod:`.totals` counts energy on from where it stood; :mod:`.stored_state` keeps it over restarts.
"""
