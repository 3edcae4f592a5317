"""The takeover of another program's entity ids, so that history and automations go on.

:mod:`.table` says how each program makes its unique ids; :mod:`.pairs` finds which of its entities
have a value of ours, and takes their ids over; :mod:`.form` lets the owner choose; :mod:`.offer`
opens that form by itself after a set-up, or raises a repair when values come later; :mod:`.moved`
raises one while automations still use an id that ours had before.
"""
