"""Set messages: what they wish, and what became of it (spec c.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hardwired_engines.composite import Part
from hardwired_engines.engine import Command, InvalidCommand
from hardwired_engines.fields import Quantity

from ..bridge.sink import Action, Outcome, Publication, Traffic, Wish
from .announcement import compact
from .bridge_device import FAILURES, OTHER
from .native_device import DeviceVoice
from .topics import SetTopic, Topics
from .values import read_payload, read_wish


@dataclass(frozen=True, slots=True)
class SetTicket:
    """Who asked: the topic, the device, the key of a field or composite, and its role."""

    topic: str
    voice: DeviceVoice
    key: str
    role: str | None


class SetDesk:
    """Makes wishes of set messages and answers them.

    *mask* hides secrets in what devices say; *event_id* numbers events.
    """

    def __init__(
        self,
        topics: Topics,
        mask: Callable[[str], str],
        event_id: Callable[[], str],
        *,
        read_only: bool,
    ) -> None:
        self._topics = topics
        self._mask = mask
        self._event_id = event_id
        self._read_only = read_only

    def take(
        self, topic: str, told: SetTopic, voice: DeviceVoice, payload: bytes, *, retained: bool
    ) -> list[Action]:
        """Return a wish, or at once what is said to a message that can't be one."""
        ticket = SetTicket(topic, voice, told.key, told.role)
        refused = self._forbidden(voice, retained=retained)
        if refused is None:
            make = _field_wish if told.role is None else _part_wish
            try:
                return [make(ticket, payload)]
            except InvalidCommand as error:
                refused = Outcome(key=error.key, text=str(error))
        return self.result(ticket, refused)

    def _forbidden(self, voice: DeviceVoice, *, retained: bool) -> Outcome | None:
        if retained:
            text = "a retained command is ignored: it may be of any age"
            return Outcome(key="retained", text=text)
        if voice.link.read_only or self._read_only:
            text = f"{voice.link.name} only tells; read_only is set"
            return Outcome(key="read_only", text=text)
        if not voice.present:
            return Outcome(key="not_connected", text=f"{voice.state.device.id} is not there")
        return None

    def result(self, ticket: SetTicket, outcome: Outcome) -> list[Action]:
        """Return the answer; an error is an event as well."""
        value = ticket.voice.text(ticket.key, ticket.role)
        if outcome.ok:
            told: dict[str, Any] = {
                "status": "ok",
                "value": value,
                "took": round(outcome.took, 3),
            }
        else:
            text = self._mask(outcome.text)
            told = {"status": "error", "key": outcome.key, "text": text, "value": value}
        found: list[Action] = [
            Publication(f"{ticket.topic}/result", compact(told), qos=1, traffic=Traffic.RESULT)
        ]
        if not outcome.ok:
            found.append(self._failure(ticket, outcome))
        return found

    def _failure(self, ticket: SetTicket, outcome: Outcome) -> Publication:
        key = outcome.key or "failed"
        told: dict[str, Any] = {"event_type": key if key in FAILURES else OTHER}
        if key not in FAILURES:
            told["key"] = key
        field = ticket.key if ticket.role is None else f"{ticket.key}/{ticket.role}"
        told |= {
            "link": ticket.voice.link.name,
            "device": ticket.voice.state.device.id,
            "field": field,
            "text": self._mask(outcome.text),
            "id": self._event_id(),
        }
        return Publication(
            self._topics.bridge("command_failed"), compact(told), qos=1, traffic=Traffic.EVENT
        )


def has(voice: DeviceVoice, told: SetTopic) -> bool:
    """Whether a device has what a set message's topic names."""
    if told.role is None:
        return told.key in voice.state.fields
    composite = voice.composite(told.key)
    return composite is not None and told.role in voice.commands(composite, voice.state)


def _field_wish(ticket: SetTicket, payload: bytes) -> Wish:
    voice = ticket.voice
    field = voice.state.fields[ticket.key]
    value = read_wish(field, payload, voice.link.zone)
    return Wish(
        link=voice.link.name,
        command=Command(voice.state.device.id, {ticket.key: value}),
        alone=field.quantity is Quantity.SIGNAL,
        ticket=ticket,
    )


def _part_wish(ticket: SetTicket, payload: bytes) -> Wish:
    voice = ticket.voice
    text = read_payload(f"{ticket.key} {ticket.role}", payload)
    return Wish(
        link=voice.link.name,
        command=Command(voice.state.device.id),
        composite=ticket.key,
        parts=((Part(ticket.role or ""), text),),
        ticket=ticket,
    )
