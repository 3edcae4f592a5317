"""Get a token from the GX for its password (spec G.2). The password is not kept."""

from __future__ import annotations

import base64

import aiohttp
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .const import CONSOLE_USER, TOKEN_ROLE

TIMEOUT = aiohttp.ClientTimeout(total=20)
LARGEST = 65_536


class PairingError(Exception):
    """The GX gave no token."""


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


async def async_pair(
    hass: HomeAssistant, host: str, password: str, device_id: str, scheme: str = "https"
) -> tuple[str, str]:
    """Return the name and the password of a new token. Raises :class:`PairingError`."""
    session = async_get_clientsession(hass, verify_ssl=False)
    shown = (
        f"[{host}]" if ":" in host and not host.startswith("[") and host.count(":") > 1 else host
    )
    try:
        async with session.post(
            f"{scheme}://{shown}/auth/generate-token/",
            headers={"Authorization": _basic(CONSOLE_USER, password)},
            data={"role": TOKEN_ROLE, "device_id": device_id},
            timeout=TIMEOUT,
        ) as answer:
            if answer.status != 200:
                raise PairingError(f"the GX answers {answer.status}")
            if (answer.content_length or 0) > LARGEST:
                raise PairingError("the answer is too long")
            told = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise PairingError(str(error) or type(error).__name__) from error
    if not isinstance(told, dict):
        raise PairingError("the answer is no object")
    name, secret = told.get("token_name"), told.get("password")
    if not isinstance(name, str) or not isinstance(secret, str) or not name or not secret:
        raise PairingError("the answer holds no token")
    return name, secret
