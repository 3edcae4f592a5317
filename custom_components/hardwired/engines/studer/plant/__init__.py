"""What we know of the devices of a plant.

:mod:`.unit` is one device with its values and bounds; :mod:`.plant` holds all and makes the
snapshot's devices; :mod:`.system` is the plant as a whole, its sums and energies.
:mod:`.availability` is the state machine between online and offline. :mod:`.totals` turns daily
counters into totals; :mod:`.stored_state` keeps them over restarts.
"""
