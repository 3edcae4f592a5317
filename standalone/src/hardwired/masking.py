"""What leaves the bridge goes through this filter: no secret in a log, a topic, an answer (h.4)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from hardwired_engines.masking import masked_text

MASK = "***"
_SHORT = 4
"""Secrets with fewer characters are masked as whole words only."""


class Mask:
    """Replaces each known secret and its encoded forms, and what addresses keep secret.

    *secrets* are texts; *logins* are pairs of user name and secret, as HTTP Basic joins them.
    """

    def __init__(self, secrets: Iterable[str] = (), logins: Iterable[tuple[str, str]] = ()) -> None:
        whole: set[str] = set()
        words: set[str] = set()
        for secret in filter(None, secrets):
            plain, *encoded = _forms(secret)
            (words if len(plain) < _SHORT else whole).add(plain)
            whole.update(encoded)
        for user, secret in logins:
            whole.update(_forms(f"{user}:{secret}"))
        parts = [re.escape(form) for form in sorted(whole, key=len, reverse=True)]
        parts += [
            rf"(?<!\w){re.escape(word)}(?!\w)" for word in sorted(words, key=len, reverse=True)
        ]
        self._pattern = re.compile("|".join(parts)) if parts else None

    def __call__(self, text: str) -> str:
        """Return *text* without secrets."""
        return masked_text(text if self._pattern is None else self._pattern.sub(MASK, text))


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret itself, then the forms in which it may travel."""
    yield secret
    data = secret.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(data).decode("ascii")
        yield text
        if len(text.rstrip("=")) >= _SHORT:
            yield text.rstrip("=")
    for told in (quote(secret, safe=""), quote_plus(secret, safe=""), quote(secret)):
        if told != secret:
            yield told
