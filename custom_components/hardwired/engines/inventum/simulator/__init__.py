"""A simulated Ecolution: the terminal of the service socket and the house behind it (spec i).

``device``    the state machine of the terminal: login, menu, IO list, prompt, logger
``pages``     what it draws
``columns``   headers of the data logger
``day``       a plausible day: boiler, showers, compressor, air, counters
``line``      its port: pages at once in USB packets, or 960 bytes a second
``faults``    what can go wrong, by name, and at random from a seed
``settings``  all of it from a URL's query
``runner``    ``sim://``, pseudo-terminal and TCP
"""
