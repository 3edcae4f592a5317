"""The repair issues of one entry: a silence that lasts, the engine's notices, an offer."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import CONF_SIMULATED, DOMAIN
from .engines.engine import Notice, Reason, Severity, Snapshot
from .engines.masking import masked_text

ISSUE_DELAY = 300.0
"""Seconds that a silence lasts before the user must act."""

TRANSIENT = frozenset(
    {Reason.STARTING, Reason.DISCONNECTED, Reason.WAITING_FOR_PEER, Reason.LOGGING_IN}
)
"""Reasons that pass by themselves, or of which the user knows: no repair issue."""

SEVERITIES = {
    Severity.WARNING: ir.IssueSeverity.WARNING,
    Severity.ERROR: ir.IssueSeverity.ERROR,
}


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that the user has to put right. ``key`` names its texts."""

    key: str
    placeholders: Mapping[str, str] = field(default_factory=dict)
    severity: ir.IssueSeverity = ir.IssueSeverity.WARNING
    fixable: bool = False
    """Whether :mod:`.repairs` has a flow for it."""


class RepairIssues:
    """Keeps the issues of an entry true."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        family: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without one."""
        self._hass = hass
        self._entry = entry
        self._family = family
        self._monotonic = monotonic
        self.salt = ""
        """What nobody outside knows: the ids of issues are in every report of diagnostics."""
        self._offered: dict[str, Issue] = {}
        self._standing: dict[str, Issue] = {}
        self._silent_since: tuple[Reason, float] | None = None

    @callback
    def async_check(self, snapshot: Snapshot) -> None:
        """Raise what stands in the snapshot, and delete what is over.

        Of a simulated device nothing is raised: there is nothing that its owner could mend.
        """
        if self._entry.data.get(CONF_SIMULATED):
            return
        wanted = dict(self._of(snapshot))
        for key, issue in wanted.items():
            if self._standing.get(key) != issue:
                self._raise(key, issue)
        for key in self._standing.keys() - wanted.keys():
            ir.async_delete_issue(self._hass, DOMAIN, self._id(key))
        self._standing = wanted

    @callback
    def async_offer(self, key: str, issue: Issue | None, snapshot: Snapshot) -> None:
        """Raise what is no trouble of the device, or delete it; *snapshot* is what stands now."""
        if issue is None:
            self._offered.pop(key, None)
        else:
            self._offered[key] = issue
        self.async_check(snapshot)

    @callback
    def async_forget(self) -> None:
        """Delete the issues of an entry that is being unloaded.

        Those that the user ignores stay: they would come back as new ones after a reload.
        """
        registry = ir.async_get(self._hass)
        for key in self._standing:
            issue = registry.async_get_issue(DOMAIN, self._id(key))
            if issue is not None and issue.dismissed_version is None:
                ir.async_delete_issue(self._hass, DOMAIN, self._id(key))
        self._standing = {}

    def _id(self, key: str) -> str:
        return f"{self._entry.entry_id}_{key}"

    def _raise(self, key: str, issue: Issue) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._id(key),
            is_fixable=issue.fixable,
            data={"entry_id": self._entry.entry_id} if issue.fixable else None,
            severity=issue.severity,
            translation_key=issue.key,
            translation_placeholders={
                name: masked_text(text)
                for name, text in {"title": self._entry.title, **issue.placeholders}.items()
            },
        )

    def _of(self, snapshot: Snapshot) -> Iterator[tuple[str, Issue]]:
        reason = self._lasting_reason(snapshot.reason)
        if reason is not None:
            key = f"silence_{reason.value}"
            yield key, Issue(key, {"detail": snapshot.detail or "-"})
        for notice in snapshot.notices:
            yield self._of_notice(notice, snapshot)
        yield from self._offered.items()

    def _of_notice(self, notice: Notice, snapshot: Snapshot) -> tuple[str, Issue]:
        key = f"{self._family}_{notice.key}"
        device = None if notice.device is None else snapshot.devices.get(notice.device)
        name = {} if device is None else {"device": device.device.name}
        issue = Issue(key, {**name, **notice.placeholders}, SEVERITIES[notice.severity])
        return (key if notice.device is None else f"{key}_{self._mark(notice.device)}"), issue

    def _mark(self, device: str) -> str:
        """Return what tells a device from others, now and later, without its serial number."""
        return hmac.new(self.salt.encode(), device.encode(), "sha256").hexdigest()[:12]

    def _lasting_reason(self, reason: Reason | None) -> Reason | None:
        """Return why nothing is heard, once it has lasted so long that the user must act."""
        if reason is None or reason in TRANSIENT:
            self._silent_since = None
            return None
        now = self._monotonic()
        if self._silent_since is None or self._silent_since[0] is not reason:
            self._silent_since = (reason, now)
        return reason if now - self._silent_since[1] >= ISSUE_DELAY else None
