"""An MQTT 3.1.1 client that needs nothing but the standard library (spec G.4).

``packets`` is the codec: bytes in, packets out, no input or output. ``session`` keeps what one
connection has to remember. ``client`` connects, keeps alive and hands messages over.
"""
