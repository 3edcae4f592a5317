"""Addresses and identifying infos of each family (spec b.8, c.3).

Written by script/studer_tables.py; do not edit.
"""

# ruff: noqa: E501
from typing import Any, Final

FAMILIES: Final[tuple[tuple[Any, ...], ...]] = (
    ('xt', 'Xtender', 100, 101, 109, (1000, 1999), (3000, 3999), 3000, 1, (3156, 3157), (3130, 3131)),
    ('vt', 'VarioTrack', 300, 301, 315, (10000, 10999), (11000, 11999), 11000, 1, (11067, 11068), (11050, 11051)),
    ('vs', 'VarioString', 700, 701, 715, (14000, 14999), (15000, 15999), 15000, 1, (15102, 15103), (15077, 15078)),
    ('bms', 'Xcom-CAN BMS', 600, 601, 601, (6000, 6999), (7000, 7999), 7054, 1, (7048, 7049), (7037, 7038)),
    ('bsp', 'BSP', 600, 601, 601, (6000, 6999), (7000, 7999), 7034, 1, (7048, 7049), (7037, 7038)),
    ('rcc', 'RCC / Xcom-232i', None, 501, 501, (5000, 5999), None, 5002, 2, None, None),
)
