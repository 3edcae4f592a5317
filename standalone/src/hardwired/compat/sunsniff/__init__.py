"""bmerry/sunsniff: its topics, entities and states (spec sunsynk g.3, bridge d.1)."""
