"""What an exception of the system or of a serial library means for a link."""

from __future__ import annotations

import asyncio
import errno

from ..engine import LinkError, Reason
from ..masking import masked_text

CAN_NOT_OPEN = frozenset(
    {
        Reason.NOT_FOUND,
        Reason.BUSY,
        Reason.NO_PERMISSION,
        Reason.BAD_ADDRESS,
        Reason.REFUSED,
        Reason.UNREACHABLE,
    }
)
"""Why a link can't be had at all: to wait longer changes nothing."""

_REASONS_BY_ERRNO = {
    errno.EACCES: Reason.NO_PERMISSION,
    errno.EPERM: Reason.NO_PERMISSION,
    errno.EBUSY: Reason.BUSY,
    errno.EADDRINUSE: Reason.BUSY,
    errno.ENOENT: Reason.NOT_FOUND,
    errno.ENODEV: Reason.NOT_FOUND,
    errno.ENXIO: Reason.NOT_FOUND,
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.ETIMEDOUT: Reason.UNREACHABLE,
    errno.EADDRNOTAVAIL: Reason.BAD_ADDRESS,
    errno.EINVAL: Reason.BAD_ADDRESS,
    errno.ENOTTY: Reason.BAD_ADDRESS,
    errno.EIO: Reason.DISCONNECTED,
}


def link_error(
    error: BaseException, default: Reason = Reason.UNREACHABLE, *, address: str = ""
) -> LinkError:
    """Name the reason in an exception of the system or of a serial library.

    What *address* keeps secret is masked in its message, however the library repeats it.
    """
    if isinstance(error, LinkError):
        return error
    message = masked_text(_in_words(error), address) or type(error).__name__
    if isinstance(error, TimeoutError) and default is not Reason.DISCONNECTED:
        return LinkError(Reason.UNREACHABLE, "no answer to the connection attempt")
    if isinstance(error, OSError):
        if isinstance(error, asyncio.IncompleteReadError):
            return LinkError(Reason.DISCONNECTED, message)
        reason = _REASONS_BY_ERRNO.get(error.errno or 0, default)
        if type(error).__name__ == "gaierror":
            reason = Reason.NOT_FOUND
        return LinkError(reason, message)
    if isinstance(error, ValueError) or type(error).__name__ in (
        "UnknownUriScheme",
        "UnsupportedSetting",
    ):
        return LinkError(Reason.BAD_ADDRESS, message)
    return LinkError(default, message)


def _in_words(error: BaseException) -> str:
    """Return what an error says, without the system's number."""
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    return str(error)
