"""Keeps what opens a door out of whatever is shown: passwords and keys in addresses.

An address may carry a login before its host (``user:password@``) and keys in its query
(``?key=...``). :func:`masked` is for one address, :func:`masked_text` for a text in which some
may stand. Host, port and the other members of the query stay readable. Pure; the time grows with
the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

MASK = "***"
SHORT = 4
"""Secrets with fewer characters are masked as whole words only."""

_WORDS = frozenset(
    {
        "auth", "authorization", "bearer", "code", "credential", "credentials", "jwt", "login",
        "pass", "passphrase", "pin", "pw", "pwd", "sig", "signature", "user", "username",
    }
)  # fmt: skip
"""Words of a query member's name that make a secret of its value."""
_STEMS = ("key", "passw", "psk", "secret", "token")
"""The same, as a part of a word."""

_TOKEN = re.compile(r"\S+")
_SCHEME_END = "://"
_OPENING = "'\"`(<[{"
_CLOSING = "'\"`)>]},.;:!"
_PORT = re.compile(r"\d{0,5}")


class _Parts(NamedTuple):
    """An address cut up; put together again it is the same text."""

    before: str
    """Up to the login: the scheme, or an opening bracket."""
    login: str
    """Without the ``@``; empty: none."""
    place: str
    """Host, port and path."""
    query: str
    """From the question mark on."""


def masked(address: str) -> str:
    """Return *address* without login and keys. An address masked already stays the same."""
    return _masked(_cut(address))


def masked_text(text: str, address: str = "") -> str:
    """Return *text* with the addresses in it masked.

    What *address* keeps secret is masked wherever it stands, as the system and libraries may
    repeat parts of it.
    """
    if address and (secrets := secrets_of(address)):
        text = text.replace(address, masked(address))
        text = _pattern(secrets).sub(MASK, text)
    if "@" not in text and "=" not in text:
        return text
    return _TOKEN.sub(lambda found: masked(found[0]), text)


def secrets_of(address: str) -> frozenset[str]:
    """Return what must not be shown of *address*, in the forms in which it may be repeated."""
    parts = _cut(address)
    found: set[str] = set()
    if parts.login:
        user, colon, password = parts.login.partition(":")
        found |= {parts.login, password if colon else user}
    for name, value in _secret_members(parts.query):
        found |= {value, value.rstrip(_CLOSING)}
        # What the query's own rules make of it.
        found |= {value.partition("#")[0], unquote_plus(value.partition("#")[0])}
        found.add(f"{name}={value}")
    for secret in tuple(found):
        found |= {unquote(secret), unquote_plus(secret)}
    found |= {repr(secret)[1:-1] for secret in found}
    return frozenset(found - {"", MASK})


def _masked(parts: _Parts) -> str:
    login = f"{MASK}@" if parts.login else ""
    return f"{parts.before}{login}{parts.place}{_masked_query(parts.query)}"


def _cut(address: str) -> _Parts:
    """Cut an address up. One that is written wrongly loses rather too much than too little."""
    scheme, found, rest = address.partition(_SCHEME_END)
    if found and "@" not in scheme:
        before = scheme + found
        # Without a scheme, an @ needs a colon before it: not every one makes a login.
        bare = False
    else:
        rest = address.lstrip(_OPENING)
        before = address[: len(address) - len(rest)]
        bare = True
    head, mark, tail = rest.partition("?")
    end = head.rfind("@")
    if (last := tail.rfind("@")) >= 0 and _login_goes_on(head, tail[:last]):
        end = len(head) + len(mark) + last
    if end < 0 or (bare and ":" not in rest[:end]):
        return _Parts(before, "", head, mark + tail)
    login, place = rest[:end], rest[end + 1 :]
    place, mark, tail = place.partition("?")
    return _Parts(before, login, place, mark + tail)


def _login_goes_on(head: str, tail: str) -> bool:
    """Whether a question mark stands in a password: what is before it can't be host and port."""
    if "=" not in tail or _SCHEME_END in tail:
        return True
    authority = re.split(r"[/#]", head.rpartition("@")[2], maxsplit=1)[0]
    authority = authority.rpartition("]")[2]
    _, colon, port = authority.partition(":")
    return bool(colon) and _PORT.fullmatch(port) is None


def _is_secret(name: str) -> bool:
    name = unquote_plus(name).lower()
    return any(stem in name for stem in _STEMS) or not _WORDS.isdisjoint(
        re.split(r"[^a-z0-9]+", name)
    )


def _masked_query(query: str) -> str:
    """Return a query with its secret values masked; punctuation after the last one stays."""
    kept: list[str] = []
    secret = False
    for member in query.split("&"):
        told, hides = _masked_member(member)
        if secret and "=" not in member:
            # A key that holds an ampersand.
            continue
        kept.append(told)
        secret = hides
    shown = "&".join(kept)
    if not secret:
        return shown
    return shown + query[len(query.rstrip(_CLOSING)) :]


def _masked_member(member: str) -> tuple[str, bool]:
    """Return a member of a query as it may be shown, and whether it holds a secret."""
    place = 0
    for piece in re.split(r"(?<=[;?#])", member):
        name, equals, _value = piece.partition("=")
        if equals and _is_secret(name.lstrip("?")):
            return f"{member[:place]}{name}={MASK}", True
        place += len(piece)
    return member, False


def _secret_members(query: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of the secret members of a query."""
    whole = query.split("&")
    for number, member in enumerate(whole):
        told, hides = _masked_member(member)
        if not hides:
            continue
        name = told.removesuffix(f"={MASK}")
        value = member[len(name) + 1 :]
        name = re.split(r"[;?#]", name)[-1]
        yield name, value
        # A key that holds an ampersand.
        end = next((at for at in range(number + 1, len(whole)) if "=" in whole[at]), len(whole))
        more = whole[number + 1 : end]
        if more:
            yield name, "&".join((value, *more))
            yield from ((name, one) for one in more)


def _pattern(secrets: Iterable[str]) -> re.Pattern[str]:
    return re.compile(
        "|".join(
            re.escape(secret) if len(secret) >= SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
            for secret in sorted(secrets, key=len, reverse=True)
        )
    )
