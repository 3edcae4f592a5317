"""The standalone helper as a Home Assistant app: what it offers, and what it has to say.

The app's devices come over MQTT; nothing is set up for them here. What its links have to say
becomes repairs that lead to the app's page, for as long as Home Assistant runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeassistant.components import mqtt
from homeassistant.config_entries import SOURCE_IGNORE
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.json import json_loads_object

from .const import DOMAIN

SLUG_END = "_hardwired"
PAGE = "homeassistant://hassio/addon/{slug}/info"
LONGEST_TEXT = 500

_STANDING: HassKey[dict[str, AppNotices]] = HassKey("hardwired_apps")


@dataclass(frozen=True, slots=True)
class AppOffer:
    """What an app says that it offers: MQTT prefix and device families."""

    uuid: str
    slug: str
    name: str
    prefix: str
    families: frozenset[str]

    @property
    def unique_id(self) -> str:
        """The unique id of its flow."""
        return f"hassio_{self.uuid}"


def read_offer(info: HassioServiceInfo) -> AppOffer | None:
    """Return what an app offers; ``None``: it is not ours, or makes no sense."""
    prefix = info.config.get("prefix")
    links = info.config.get("links")
    if not info.slug.endswith(SLUG_END) or not isinstance(links, list):
        return None
    if not isinstance(prefix, str) or not prefix or any(sign in prefix for sign in "+#"):
        return None
    families = frozenset(str(link.get("family")) for link in links if isinstance(link, Mapping))
    return AppOffer(info.uuid, info.slug, info.name, prefix, families)


async def async_show_notices(hass: HomeAssistant, offer: AppOffer) -> bool:
    """Show an app's notices as repairs from now on; return whether there is a broker."""
    if not await mqtt.async_wait_for_mqtt_client(hass):
        return False
    standing = hass.data.setdefault(_STANDING, {})
    if (old := standing.pop(offer.slug, None)) is not None:
        old.async_stop()
    standing[offer.slug] = notices = AppNotices(hass, offer)
    await notices.async_start()
    return True


async def async_ignore(hass: HomeAssistant, offer: AppOffer) -> None:
    """Remember that the user has seen an app's offer: it does not come again."""
    await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_IGNORE},
        data={"unique_id": offer.unique_id, "title": offer.name},
    )


class AppNotices:
    """Repairs for what the links of one app have to say."""

    def __init__(self, hass: HomeAssistant, offer: AppOffer) -> None:
        """Begin without one."""
        self._hass = hass
        self._offer = offer
        self._online = True
        self._texts: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        self._ends: list[CALLBACK_TYPE] = []

    async def async_start(self) -> None:
        """Listen to the app's links."""
        for leaf, take in (("bridge/state", self._state), ("+/notices", self._notices)):
            topic = f"{self._offer.prefix}/{leaf}"
            self._ends.append(await mqtt.async_subscribe(self._hass, topic, take, 1))

    @callback
    def async_stop(self) -> None:
        """Listen no more, and show nothing."""
        while self._ends:
            self._ends.pop()()
        self._texts.clear()
        self._show()

    @callback
    def _state(self, message: mqtt.ReceiveMessage) -> None:
        self._online = message.payload != "offline"
        self._show()

    @callback
    def _notices(self, message: mqtt.ReceiveMessage) -> None:
        link = message.topic.removeprefix(f"{self._offer.prefix}/").split("/")[0]
        if text := _text_of(message.payload):
            self._texts[link] = text
        else:
            self._texts.pop(link, None)
        self._show()

    def _show(self) -> None:
        wanted = self._texts if self._online else {}
        for link in self._shown.keys() - wanted.keys():
            ir.async_delete_issue(self._hass, DOMAIN, self._id(link))
        for link, text in wanted.items():
            if self._shown.get(link) != text:
                self._raise(link, text)
        self._shown = dict(wanted)

    def _id(self, link: str) -> str:
        return f"app_{self._offer.slug}_{link}"

    def _raise(self, link: str, text: str) -> None:
        page = PAGE.format(slug=self._offer.slug)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._id(link),
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            learn_more_url=page,
            translation_key="app_notices",
            translation_placeholders={
                "title": f"{self._offer.name}, {link}",
                "notices": text,
                "page": page,
            },
        )


def _text_of(payload: Any) -> str:
    """Return the notices of a message, one a line; nothing where it makes no sense."""
    try:
        rows = json_loads_object(payload).get("notices")
    except ValueError:
        return ""
    if not isinstance(rows, list):
        return ""
    texts = [row.get("text") for row in rows if isinstance(row, dict)]
    return "\n".join(f"- {text[:LONGEST_TEXT]}" for text in texts if isinstance(text, str))
