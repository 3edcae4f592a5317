"""A stand-in for the GX's system service: it says the portal id (spec I.1)."""

from __future__ import annotations

import argparse

from .objects import Objects, run, until_told

NAME = "com.victronenergy.system"


def system(serial: str) -> Objects:
    """Return the service, not yet on the bus."""
    objects = Objects()
    objects.values = {
        "/Serial": serial,
        "/DeviceInstance": 0,
        "/ProductId": 0,
        "/Mgmt/ProcessName": "stand-in",
    }
    return objects


def main(arguments: list[str] | None = None) -> None:
    """Run the system service."""
    parser = argparse.ArgumentParser(prog="gx.system", description=__doc__)
    parser.add_argument("--bus", help="address of the bus")
    parser.add_argument("--serial", default="c0ffee12ab34", help="the portal id")
    given = parser.parse_args(arguments)

    async def serve() -> None:
        service = system(given.serial)
        await service.appear(given.bus, NAME)
        await until_told(service.bus)

    run(serve)


if __name__ == "__main__":
    main()
