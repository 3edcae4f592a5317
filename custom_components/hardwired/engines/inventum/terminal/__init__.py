"""The terminal behind the USB port, sans-I/O: what stands on its screen and what it means.

``cells``    bytes -> 53 x 80 cells, cursor, reverse video; counts the prompts (spec b.3, c.3)
``screens``  cells -> which page it is, its selected row, its labels (spec c.1, c.5, c.6)
``keys``     what the host may type (spec b.2)
``log``      printed lines -> columns and rows of the data logger (spec d.2)
"""
