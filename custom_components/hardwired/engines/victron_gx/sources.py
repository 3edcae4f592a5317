"""Which entities may be exported: none that came from the GX itself (spec H.6)."""

from __future__ import annotations

from dataclasses import dataclass

GX_PLATFORMS = frozenset({"victron_gx", "victron", "victron_mqtt"})
NEVER = frozenset({"lock", "alarm_control_panel", "siren", "vacuum", "lawn_mower"})
"""Domains that nobody wants to be operated from a screen on a wall."""
COPY_MARK = "mqtt_ha_"
"""What identifiers of the copies of our own exports contain."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the registries know of an entity. ``own``: this family made it.

    ``marks`` are its unique id, and its device's identifiers and serial number, as texts.
    """

    entity_id: str
    platform: str | None = None
    domains: frozenset[str] = frozenset()
    manufacturer: str = ""
    own: bool = False
    marks: tuple[str, ...] = ()

    @property
    def copied(self) -> bool:
        """Whether it is an MQTT entity that shows one of our own exports."""
        return self.platform == "mqtt" and any(COPY_MARK in mark for mark in self.marks)

    @property
    def offered(self) -> bool:
        """Whether it may be exported."""
        if self.entity_id.partition(".")[0] in NEVER or self.own or self.copied:
            return False
        return self.platform not in GX_PLATFORMS and not self.domains & GX_PLATFORMS

    @property
    def doubtful(self) -> bool:
        """Whether it may come from the GX by hand-made MQTT: offered with a warning."""
        maker = self.manufacturer.casefold()
        return self.offered and self.platform == "mqtt" and maker.startswith("victron")
