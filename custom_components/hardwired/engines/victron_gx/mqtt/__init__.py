"""MQTT 3.1.1 as a client, on the standard library alone.

``packets`` are the bytes, both ways, without a socket; ``session`` numbers and acknowledges;
``client`` is one connection. The driver on the GX has a client of its own: it stands alone, on a
Python of 2019, and Home Assistant ships only this folder.
"""
