"""The bridge: engines on one side, sinks on the other, nothing known of either.

sink      the contracts: Sink (a place where values go), Dialect (words on MQTT), Hub (the bridge)
"""
