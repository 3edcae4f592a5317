"""Requests to the bridge: how many, of whom, and what is answered (spec c.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hardwired_engines.plain import plain

from ..bridge import sink as contract
from ..bridge.sink import Action, Hub, Outcome, Publication, Traffic, Verb, Wish
from . import requests
from .announcement import compact
from .requests import Request, RequestRefused
from .topics import Topics, slug

REQUEST_RATE, REQUEST_BURST = 5.0, 20.0


@dataclass(frozen=True, slots=True)
class RequestTicket:
    """Who asked."""

    request: Request


class RequestDesk:
    """Takes requests and answers them; *republish* is the dialect's own and is returned as such."""

    def __init__(
        self, topics: Topics, hub: Hub, *, enabled: bool, read_only: bool, allow_stop: bool
    ) -> None:
        self._topics = topics
        self._hub = hub
        self.enabled = enabled
        self._read_only = read_only
        self._allow_stop = allow_stop
        self._tokens, self._tokens_at = REQUEST_BURST, 0.0

    def take(
        self, verb: str, payload: bytes, links: frozenset[str], now: float
    ) -> list[Action] | Request:
        """Return what a request leads to; ``republish``, which the dialect does, as it is."""
        if not self.enabled:
            return []
        if not self._allowed(now):
            told = requests.refusal(None, "rate_limited", "too many requests at once")
            return [self._response(verb, told)] if verb in requests.VERBS else []
        try:
            request = requests.read_request(verb, payload, self._world(links))
        except RequestRefused as error:
            told = requests.refusal(error.transaction, error.key, self._hub.mask(str(error)))
            if verb not in requests.VERBS:
                verb = slug(verb)[: requests.LONGEST_WORD]
            return [self._response(verb, told)]
        if request.verb == "republish" and not request.done:
            return request
        return self._do(request)

    def _allowed(self, now: float) -> bool:
        passed = max(0.0, now - self._tokens_at)
        self._tokens = min(REQUEST_BURST, self._tokens + passed * REQUEST_RATE)
        self._tokens_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _world(self, links: frozenset[str]) -> requests.World:
        hub = self._hub
        return requests.World(
            links={
                name: requests.LinkView(
                    family=view.family,
                    snapshot=view.snapshot,
                    requests=view.factory.requests,
                    known=tuple(view.known),
                    zone=view.zone,
                    read_only=view.read_only and not hub.settings.get("read_only", False),
                )
                for name, view in hub.links.items()
                if name in links
            },
            read_only=self._read_only,
            allow_stop=self._allow_stop,
        )

    def _do(self, request: Request) -> list[Action]:
        if request.done:
            return [self.answer(request, request.data)]
        ticket = RequestTicket(request)
        if request.command is not None:
            assert request.link is not None
            return [Wish(link=request.link, command=request.command, alone=True, ticket=ticket)]
        return [
            contract.Request(
                verb=Verb(request.verb),
                link=request.link,
                device=request.device,
                keys=request.keys,
                level=request.level,
                module=request.module,
                minutes=request.minutes,
                ticket=ticket,
            )
        ]

    def answer(self, request: Request, data: Mapping[str, Any] | None) -> Publication:
        """Return the answer to what was carried out."""
        return self._response(request.verb, requests.answer(request.transaction, data))

    def responded(self, request: Request, outcome: Outcome) -> Publication:
        """Return the answer to what came of a request."""
        if not outcome.ok:
            text = self._hub.mask(outcome.text)
            told = requests.refusal(request.transaction, outcome.key or "failed", text)
            return self._response(request.verb, told)
        data: Mapping[str, Any] | None = request.data
        if request.verb == "read" and outcome.data is not None:
            known = (request.data or {}).get("values", {})
            data = {"values": {**known, **plain(outcome.data.get("values", outcome.data))}}
        elif data is None and outcome.data:
            data = plain(outcome.data)
        return self.answer(request, data)

    def _response(self, verb: str, told: Mapping[str, Any]) -> Publication:
        return Publication(
            self._topics.response(verb), compact(told), qos=1, traffic=Traffic.RESPONSE
        )
