"""The bridge: engines on one side, sinks on the other; it knows no family and no dialect by name.

sink       the contracts: Sink (a place where values go), Dialect (words on MQTT), Hub (the bridge)
run        start, reload, stop; running_links, running_sinks: who lives, tasks: kept alive
report     the status line, health, metrics; requests: what the bridge is asked
link       one device table: its engine, restarted when it fails; wishes: window, rates, order
feeder     what links report, on its way to one sink; sinks: where the types of sinks are
state      the state folder: what is remembered over restarts
"""
