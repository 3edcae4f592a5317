"""The demo and what drives its Home Assistant."""
