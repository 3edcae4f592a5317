"""The standalone helper: the engines on a command line, without Home Assistant."""
