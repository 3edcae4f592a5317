"""danielfett/inetbox.py: its topics, settings and entities (spec truma g.1-g.5, bridge d.1)."""
