"""What an export makes of its entities: one module for each kind of thing (spec H.2).

Every template is a function from the settings of an export and what Home Assistant knows to the
services on the GX. ``thermostat`` has climate and water heater, ``meter`` and ``storage``
(battery, tank) what is measured, ``places`` what is somewhere (car, GPS), ``simple`` the rest.
"""
