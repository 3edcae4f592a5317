"""Why a command is not carried out: the refusals that several commands share (spec e)."""

from __future__ import annotations

from ....engine import InvalidCommand, NotConfirmed, NotConnected, Refused
from ....fields import Value
from ...catalogue import options_of
from ...datapoints.datapoint import Datapoint, Limits
from ...datapoints.limits import LimitError, Refusal
from ...scom.errors import ErrorCode, error_name
from ...scom.exchange import Reply, ReplyKind
from ...scom.values import WireValue


def title(point: Datapoint) -> str:
    """Return number and name of a datapoint, as the manuals write them."""
    return f"{{{point.id}}} {point.name}"


def gone(device: str) -> NotConnected:
    """Return that a device is not where it was, or nowhere; nothing was sent to it."""
    return NotConnected(f"{device} is not there now")


def guarded(point: Datapoint) -> InvalidCommand:
    """Return that a datapoint needs a confirmation of its own."""
    return InvalidCommand(key="studer_guarded", datapoint=title(point), number=str(point.id))


def missing_value(point: Datapoint) -> InvalidCommand:
    """Return that the value to write was not given."""
    return InvalidCommand(key="studer_value_missing", datapoint=title(point))


def nothing_to_revert(point: Datapoint) -> InvalidCommand:
    """Return that a datapoint has no value in RAM beside the one in flash."""
    return InvalidCommand(key="studer_nothing_to_revert", datapoint=title(point))


def watchdog_on(device: str, delay: float) -> InvalidCommand:
    """Return that a watchdog would stop the device; its delay is in seconds (spec e.4)."""
    return InvalidCommand(key="studer_watchdog", device=device, seconds=f"{delay:g}")


def number_wanted(name: str, low: float, high: float) -> InvalidCommand:
    """Return that an option takes a number of this range, and got something else."""
    return InvalidCommand(key="studer_number_wanted", field=name, low=f"{low:g}", high=f"{high:g}")


def bad_value(point: Datapoint, value: Value, message: str) -> InvalidCommand:
    """Return that a datapoint does not take a value; it names the choices where there are any."""
    choices = ", ".join(options_of(point)) or ", ".join(str(one.wire) for one in point.choices)
    if choices:
        return InvalidCommand(
            key="studer_no_option", datapoint=title(point), value=str(value), options=choices
        )
    return InvalidCommand(message, key="studer_bad_value", datapoint=title(point), value=str(value))


def refused(what: str, reply: Reply) -> Refused:
    """Return the error that a device or the gateway gave, by its name in the manual."""
    assert reply.error is not None
    error = f"{error_name(reply.error)} ({reply.error:#06x})"
    return Refused(key="studer_refused", datapoint=what, error=error)


def not_allowed(
    point: Datapoint, value: Value, limits: Limits, error: LimitError
) -> InvalidCommand:
    """Return in an owner's words why a value may not be written."""
    if error.key not in (Refusal.TOO_SMALL, Refusal.TOO_BIG):
        return bad_value(point, value, str(error))
    bounds = [None if one is None else f"{one:g}" for one in (limits.minimum, limits.maximum)]
    return InvalidCommand(
        key="studer_out_of_range",
        datapoint=title(point),
        value=str(value),
        low=bounds[0] or "-",
        high=bounds[1] or "-",
        unit=f" {point.unit}" if point.unit else "",
    )


def expect_written(point: Datapoint, reply: Reply) -> None:
    """Raise :class:`Refused` or :class:`NotConfirmed` unless a write was accepted."""
    unheard = point.signal and reply.error == ErrorCode.RESPONSE_TIMEOUT
    match ReplyKind.TIMEOUT if unheard else reply.kind:
        case ReplyKind.WRITTEN:
            return
        case ReplyKind.TIMEOUT:
            raise NotConfirmed(key="studer_write_unanswered", datapoint=title(point))
        case ReplyKind.ERROR:
            raise refused(title(point), reply)
    raise NotConfirmed(key="studer_write_unclear", datapoint=title(point))


def expect_value(number: int, reply: Reply) -> WireValue:
    """Return the value that was read. Raises :class:`Refused`, :class:`NotConfirmed`."""
    match reply.kind:
        case ReplyKind.VALUE:
            assert reply.value is not None
            return reply.value
        case ReplyKind.TIMEOUT:
            raise NotConfirmed(key="studer_read_unanswered", datapoint=f"{{{number}}}")
        case ReplyKind.ERROR:
            raise refused(f"{{{number}}}", reply)
    raise Refused(key="studer_bad_answer", datapoint=f"{{{number}}}", count=str(len(reply.data)))
