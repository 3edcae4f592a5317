"""Where a broker is and how it is spoken to: address, login, TLS (spec b.2, h.4)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from enum import StrEnum

from .losses import ConnectionLost, Loss


class Verify(StrEnum):
    """How much of the broker's certificate is checked."""

    FULL = "full"
    CERTIFICATE = "certificate"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS to a broker; without *ca_file* the system's authorities count."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    verify: Verify = Verify.FULL

    def context(self) -> ssl.SSLContext:
        """Return the context; reads files. Raises :class:`ConnectionLost`."""
        try:
            found = ssl.create_default_context(cafile=self.ca_file)
            found.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.verify is not Verify.FULL:
                found.check_hostname = False
            if self.verify is Verify.NONE:
                found.verify_mode = ssl.CERT_NONE
            if self.cert_file is not None:
                found.load_cert_chain(self.cert_file, self.key_file, self.key_password or "")
        except (OSError, ValueError) as error:
            raise ConnectionLost(Loss.TLS_FILES, str(error)) from error
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Where a broker is and how it is spoken to. Times in seconds."""

    host: str
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive: int = 60
    protocol: int = 4
    """4 is MQTT 3.1.1, 5 is MQTT 5."""
    tls: TlsSettings | None = None

    @property
    def address(self) -> str:
        """Host and port, for people."""
        return f"{self.host}:{self.port}"

    @property
    def place(self) -> tuple[str, int]:
        """What tells one broker from another: this machine has several names."""
        host = self.host.lower()
        return "localhost" if host in {"127.0.0.1", "::1"} else host, self.port
