"""Times in seconds and counts of the dialogue (spec c.2, e, f). The device's own are not known.

They were chosen so that a page at 9600 baud is read whole, and a device that does nothing is
left again.
"""

from __future__ import annotations

LISTEN = 2.0
"""After opening: what the device says by itself."""
RESYNC = 0.5
"""After a loss: the page that is on its way."""
MENU_LOST = 1.0
MENU_DRAWN = 3.0

QUIET = 0.15
"""Nothing for so long: a page is complete."""
STABLE = 0.30
"""A known page for so long is complete too: pages redraw themselves for ever."""
SETTLED = 1.5
"""Neither page nor selection has moved, though bytes keep coming."""
EDIT_STABLE = 0.5

ECHO = 0.5
AFTER_ENTER = 0.3
ANSWER = 5.0
REFUSED_QUIET = 3.0
REFUSED_LATEST = 10.0
REFUSALS = 5
WRONG_CODE_PAUSE = 60.0
TYPED_AGAIN = 2

WAKE_STEPS = (1.5, 1.5, 3.0, 3.0)
"""Escape, Escape, Enter, logger key: what each may take to be answered."""
WAKE_PAUSES = (5.0, 10.0, 30.0, 60.0)
LOGGER_COMMAS = 20

TO_IO = 3.0
NEVER_SETTLES = 30.0
"""A list that is redrawn for so long without standing still once is left."""
VISIT = 300.0
"""The longest visit to the list: more than all its moves may take."""
IO_KEY_AGAIN = 2
IO = 3.0
MOVE = 1.0
MOVE_LONGER = 2.0
LAG_FACTOR = 5
"""After a cursor key without effect: so many times the slowest answer may pass before another key
counts as done. A lost key and one that is still under way look alike."""
ENTER = 3.0
MOVES = 60
DEAD_KEYS = 3
EDIT = 2.0
EDIT_DONE = 3.0
LEAVE = 3.0
LEAVE_AGAIN = 3

LOGGER_START = 10.0
CLEAR_AGAIN = 0.5
"""After the logger key the menu may be drawn once more."""
FIRST_ROW = 300.0
PATIENCE_FACTOR = 3
PATIENCE = (30.0, 3600.0)
GAPS = 5
BAD_ROWS = 3

RUNS = 3
OFFLINE = 30.0
OFFLINE_AFTER_FAILURE = 60.0
CONFIRM = 120.0
CONFIRM_MARGIN = 30.0
CONFIRM_ROWS = 3
LOST_ROWS = 3
REAPPLY = 2
REST = 60.0
PAUSE = 600.0
WALL_CHECK = 60.0
"""The wall clock may be set: it is looked at so often."""
