"""TeepCo/xtender_mqtt: its topics, commands and entities (spec studer g, bridge d.1)."""
