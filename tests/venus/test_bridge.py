"""The bridge's GX sink with the driver itself: a simulated plant on the GX, and set from there."""

from __future__ import annotations

from pathlib import Path

from tests.standalone.bridge.test_bridge import running as running_bridge

from .conftest import Gx
from .test_behaviour import gone, holds

CLIENT = "hw_hardwired_plant"


async def test_a_studer_plant_on_the_gx_and_set_from_there(gx: Gx, tmp_path: Path) -> None:
    async with gx(gateway=True) as seen:
        config = (
            '[devices.plant]\nfamily = "studer"\nlink = "sim://?xtenders=1"\n\n'
            '[sinks.gx]\ntype = "venus"\nhost = "127.0.0.1"\n'
            f'port = {seen.rig.broker.port}\nprofile = "energy"\n'
        )

        def service(kind: str, ident: str) -> str | None:
            start, end = f"com.victronenergy.{kind}.mqtt_{CLIENT}", f"_{ident}"
            names = (name for name in seen._owners.values() if name.startswith(start))
            return next((name for name in names if name.endswith(end)), None)

        async with running_bridge(config, tmp_path / "bridge") as bridge:
            switch = await seen.wait(lambda: service("switch", "control"), 60)
            inverter = "/SwitchableOutput/inverter/State"
            await holds(seen, switch, inverter, 1)
            # On the screen of the GX somebody switches the inverter off.
            assert await seen.set(switch, inverter, {"t": "i", "v": 0}) == 0
            await seen.wait(
                lambda: any(
                    state.values.get("inverter_allowed") is False
                    for state in bridge.links["plant"].snapshot.devices.values()
                ),
                60,
            )
            await holds(seen, switch, inverter, 0)
            load = await seen.wait(lambda: service("acload", "ac"), 60)
            assert (await seen.value(load, "/Ac/Power"))["t"] in ("i", "d")
        # Stopped in order, it leaves nothing on the GX.
        await gone(seen, switch)
