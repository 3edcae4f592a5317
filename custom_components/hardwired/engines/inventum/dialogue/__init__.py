"""The conversation with the terminal, sans-I/O: bytes and a clock in, keys and events out.

``machine``     the states and what each waits for (spec f.2, f.3)
``login``       typing the codes, and what the answers say (spec c.4)
``sight``       the screen over time: which page, since when, is it calm (spec c.2)
``menu``        the menu's keys, by labels that were read twice (spec c.6)
``navigation``  the IO list: which key leads to the fan's row, when Enter is safe (spec f.4)
``edit_prompt`` what is typed at the fan's row, when Enter is safe (spec f.2)
``waking``      which keys wake a silent terminal (spec f.3)
``wishes``      boost and auto: confirmation, supersession, return, lost overrides (spec e, f.5)
``log_watch``   the data logger: trusted headers, gaps between rows, patience (spec f.6)
``timing``      every time and count, each once
"""
