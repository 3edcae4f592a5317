"""The availability of a device, as a state machine (spec c.6)."""

from __future__ import annotations

from enum import StrEnum

from ..datapoints.plausibility import Absence
from ..scom.errors import ErrorCode

OFFLINE_AT = 3
"""Weight of failures at which a suspect device is offline."""


class Presence(StrEnum):
    """The state of a device."""

    ONLINE = "online"
    SUSPECT = "suspect"
    OFFLINE = "offline"
    RECOVERING = "recovering"
    """It answers again; its identity has to be read before its values are used."""


class OutcomeClass(StrEnum):
    """What an exchange says about the device."""

    GOOD = "good"
    BAD = "bad"
    FAILURE = "failure"
    GRAVE_FAILURE = "grave_failure"
    """The gateway itself says that the device is not there: counts twice."""
    NEUTRAL = "neutral"


_WEIGHTS = {OutcomeClass.FAILURE: 1, OutcomeClass.GRAVE_FAILURE: 2}
_BAD = frozenset({Absence.NOT_FINITE, Absence.UNKNOWN_ENUM, Absence.OUT_OF_RANGE})


def class_of_value(absence: Absence | None) -> OutcomeClass:
    """Return the outcome of a value that was checked for plausibility."""
    return OutcomeClass.BAD if absence in _BAD else OutcomeClass.GOOD


def class_of_error(code: int) -> OutcomeClass:
    """Return the outcome of an error answer."""
    match code:
        case ErrorCode.DEVICE_NOT_FOUND:
            return OutcomeClass.GRAVE_FAILURE
        case ErrorCode.RESPONSE_TIMEOUT | ErrorCode.READ_PROPERTY_FAILED:
            return OutcomeClass.FAILURE
    return OutcomeClass.NEUTRAL


def denies(code: int) -> bool:
    """Whether the gateway says, with this error, that a device does not answer it."""
    return code in (ErrorCode.DEVICE_NOT_FOUND, ErrorCode.RESPONSE_TIMEOUT)


def weight_of(outcome: OutcomeClass) -> int:
    """Return how much an outcome counts against a device; :data:`OFFLINE_AT` is enough."""
    return _WEIGHTS.get(outcome, 0)


class PresenceMachine:
    """The state of one device. It has none before its first good outcome."""

    __slots__ = ("failures", "state")

    def __init__(self) -> None:
        self.state: Presence | None = None
        self.failures = 0

    @property
    def nearly_lost(self) -> bool:
        """Whether it was nearly lost, so that another device may be at its address."""
        return self.state is Presence.SUSPECT and self.failures >= OFFLINE_AT - 1

    @property
    def publishes(self) -> bool:
        """Whether a good value may be shown."""
        return self.state in (Presence.ONLINE, Presence.SUSPECT)

    def update(self, outcome: OutcomeClass) -> Presence | None:
        """Take the outcome of an exchange; return the state after it."""
        match outcome:
            case OutcomeClass.NEUTRAL:
                pass
            case OutcomeClass.GOOD:
                self._good()
            case OutcomeClass.BAD:
                if self.state is Presence.ONLINE:
                    self.state = Presence.SUSPECT
                    self.failures = 0
            case OutcomeClass.FAILURE | OutcomeClass.GRAVE_FAILURE:
                self._failed(_WEIGHTS[outcome])
        return self.state

    def lose(self) -> None:
        """Set the device offline: the link is down, or another device is at its address."""
        if self.state is not None:
            self.state = Presence.OFFLINE

    def _good(self) -> None:
        self.failures = 0
        if self.state is Presence.OFFLINE:
            self.state = Presence.RECOVERING
        else:
            self.state = Presence.ONLINE

    def _failed(self, weight: int) -> None:
        match self.state:
            case Presence.ONLINE:
                self.state = Presence.SUSPECT
                self.failures = weight
            case Presence.SUSPECT:
                self.failures += weight
                if self.failures >= OFFLINE_AT:
                    self.state = Presence.OFFLINE
            case Presence.RECOVERING:
                self.state = Presence.OFFLINE
