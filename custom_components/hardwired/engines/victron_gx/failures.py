"""Why no connection to the broker came about, in the engines' words."""

from __future__ import annotations

from ..engine import LinkError, Reason
from ..link.errors import link_error
from .mqtt.client import REFUSED_LOGIN, Unreachable


def as_link_error(error: Unreachable) -> LinkError:
    """Return why no connection came about."""
    if error.code in REFUSED_LOGIN:
        return LinkError(Reason.WRONG_CODE, str(error))
    if error.code:
        return LinkError(Reason.REFUSED, str(error))
    if isinstance(error.error, ConnectionError) and not error.error.errno:
        return LinkError(Reason.NO_ANSWER, str(error))
    return link_error(error.error or error)
