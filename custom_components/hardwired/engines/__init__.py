"""Protocol engines: one package per device family, usable without Home Assistant.

Inside the integration this package is ``custom_components.hardwired.engines``; the standalone
helper mounts the same source as ``hardwired_engines``. Hence relative imports only.
"""
