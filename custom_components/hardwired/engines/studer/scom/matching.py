"""Whether a frame is the answer to a request (spec c.2).

In another program one late answer, taken for the next one, shifted all later answers by one. So
everything that an answer repeats of its request is compared, in the order of the page.
"""

from __future__ import annotations

from enum import StrEnum

from . import messages
from .frame import Body, Frame, ObjectType, Request, Service
from .values import Format, size_of

FILE_BLOCK = 0x22
FILE_LAST_BLOCK = 0x26


class Rejection(StrEnum):
    """The first test that a frame failed."""

    SHORT_SERVICE = "short_service"
    NOT_A_RESPONSE = "not_a_response"
    WRONG_SOURCE = "wrong_source"
    WRONG_DESTINATION = "wrong_destination"
    WRONG_SERVICE = "wrong_service"
    WRONG_OBJECT_TYPE = "wrong_object_type"
    WRONG_OBJECT_ID = "wrong_object_id"
    WRONG_PROPERTY = "wrong_property"
    BAD_LENGTH = "bad_length"
    """It is the answer, but not in the format that was expected."""
    UNSOLICITED = "unsolicited"
    """No request was open."""


def mismatch(  # noqa: PLR0911 - nine tests, in the order of the spec
    request: Request, frame: Frame, wire_format: Format | None, body: Body | None = None
) -> Rejection | None:
    """Return why *frame* is not the answer to *request*; ``None`` when it is.

    *wire_format* is what a read is to answer with; ``None`` accepts any length. *body* is the
    frame's, where it is known already.
    """
    body = body or frame.body()
    if body is None:
        return Rejection.SHORT_SERVICE
    if not body.is_response:
        return Rejection.NOT_A_RESPONSE
    if frame.source != request.destination:
        return Rejection.WRONG_SOURCE
    if frame.destination != request.source:
        return Rejection.WRONG_DESTINATION
    if body.service != request.service:
        return Rejection.WRONG_SERVICE
    if body.object_type != request.object_type:
        return Rejection.WRONG_OBJECT_TYPE
    if body.object_id != request.object_id:
        return Rejection.WRONG_OBJECT_ID
    if not _property_fits(request, body.property_id, error=body.is_error):
        return Rejection.WRONG_PROPERTY
    if body.is_error:
        fits = len(body.data) == 2
    elif request.service == Service.WRITE:
        fits = not body.data
    else:
        fits = _length_fits(request, wire_format, len(body.data))
    return None if fits else Rejection.BAD_LENGTH


def _property_fits(request: Request, found: int, *, error: bool) -> bool:
    if request.object_type != ObjectType.FILE_TRANSFER:
        return found == request.property_id
    # Whether an error repeats our property or carries one of its own is not documented.
    return found in (FILE_BLOCK, FILE_LAST_BLOCK) or (error and found == request.property_id)


def _length_fits(request: Request, wire_format: Format | None, length: int) -> bool:
    if request.object_type == ObjectType.MULTI_INFO:
        return length >= 8 and (length - 8) % 7 == 0
    if request.object_type == ObjectType.MESSAGE and wire_format is None:
        return length == messages.SIZE
    size = None if wire_format is None else size_of(wire_format)
    return size is None or length == size
