"""mc0110/inetbox2mqtt: its topics, settings and entities (spec truma g.6, bridge d.1)."""
