"""One entity as an output or input of a panel on the GX (spec H.3).

:func:`.channel.channel_of` finds the way by the entity's domain. ``switches`` has what is on or
off or pressed, ``lights`` and ``levels`` (fans, covers, valves) what has a level, ``numbers`` and
``choices`` what is set to a value, ``inputs`` what is only shown. ``wishes`` checks what was set.
"""
