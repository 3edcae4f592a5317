"""The life of one open link.

:mod:`.session` starts its parts and runs the loop; :mod:`.context` is what they share. :mod:`.line`
carries one request at a time, :mod:`.pacing` says how fast; :mod:`.requester` asks units.
:mod:`.discovery` and :mod:`.identification` find the devices, :mod:`.membership` keeps track of
them, with :mod:`.empty_seats` and :mod:`.plant_check`. :mod:`.schedule` plans, :mod:`.poller`
reads; :mod:`.notifications` are messages and flags. :mod:`.ram` looks after settings that are not
in flash, with :mod:`.write_order`, :mod:`.effects` and :mod:`.watchdogs`; :mod:`.commands` carries
out what is asked of us.
"""
