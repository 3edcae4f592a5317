"""Why there is no connection to a broker, told apart and in plain words (spec c.2)."""

from __future__ import annotations

import socket
import ssl
from enum import StrEnum

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode


class Loss(StrEnum):
    """Why there is no connection."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    NAME_NOT_FOUND = "name_not_found"
    UNREACHABLE = "unreachable"
    TLS_CERTIFICATE = "tls_certificate"
    TLS_HOST_NAME = "tls_host_name"
    TLS_VERSION = "tls_version"
    TLS_FILES = "tls_files"
    TLS = "tls"
    NOT_AUTHORISED = "not_authorised"
    WRONG_PROTOCOL = "wrong_protocol"
    CLIENT_ID = "client_id_refused"
    BUSY = "server_unavailable"
    TAKEN_OVER = "taken_over"
    NO_RIGHT = "no_right_to_publish"
    NO_ACKNOWLEDGEMENT = "no_acknowledgement"
    CLOSED = "closed"
    OTHER_BRIDGE = "other_bridge"
    FAILED = "failed"


_WORDS = {
    Loss.REFUSED: "nobody listens there",
    Loss.TIMEOUT: "no answer",
    Loss.NAME_NOT_FOUND: "the name is not known",
    Loss.UNREACHABLE: "the host can't be reached",
    Loss.TLS_CERTIFICATE: "its certificate is not trusted",
    Loss.TLS_HOST_NAME: "its certificate is for another host name",
    Loss.TLS_VERSION: "no common TLS version; is this a port with TLS?",
    Loss.TLS_FILES: "the certificate files can't be used",
    Loss.TLS: "TLS failed: a port without TLS, or does it want another client certificate?",
    Loss.NOT_AUTHORISED: "user name or password is wrong, or the user has no rights",
    Loss.WRONG_PROTOCOL: "it does not speak this version of MQTT",
    Loss.CLIENT_ID: "it refuses the client id",
    Loss.BUSY: "the broker says that it is not available",
    Loss.TAKEN_OVER: "another client with the same id has taken over",
    Loss.NO_RIGHT: "it closes: has the user no right to publish, or is a message too long for it?",
    Loss.NO_ACKNOWLEDGEMENT: "no acknowledgement in 30 s",
    Loss.CLOSED: "the connection was closed",
    Loss.OTHER_BRIDGE: "another bridge uses this prefix",
    Loss.FAILED: "failed",
}

_CODES = {
    0x84: Loss.WRONG_PROTOCOL,
    0x85: Loss.CLIENT_ID,
    0x86: Loss.NOT_AUTHORISED,
    0x87: Loss.NOT_AUTHORISED,
    0x88: Loss.BUSY,
    0x89: Loss.BUSY,
    0x8A: Loss.NOT_AUTHORISED,
    0x8B: Loss.BUSY,
    0x8E: Loss.TAKEN_OVER,
}
_OLD_CODES = {
    1: Loss.WRONG_PROTOCOL,
    2: Loss.CLIENT_ID,
    3: Loss.BUSY,
    4: Loss.NOT_AUTHORISED,
    5: Loss.NOT_AUTHORISED,
}


class ConnectionLost(Exception):
    """There is no connection, or no longer. ``loss`` says why, the text in plain words."""

    def __init__(self, loss: Loss, detail: str = "") -> None:
        super().__init__(f"{_WORDS[loss]} ({detail})" if detail else _WORDS[loss])
        self.loss = loss


def code_of(code: object) -> int:
    """Return the number of a reason code of either version of MQTT."""
    if isinstance(code, ReasonCode):
        return int(code.value)
    return code if isinstance(code, int) else 0


def lost_by(error: BaseException) -> ConnectionLost:
    """Return what an exception of the library means; its cause hangs in ``__context__``."""
    seen: BaseException | None = error
    while seen is not None:
        if (loss := _loss_of(seen)) is not None:
            return ConnectionLost(loss, _detail(seen))
        seen = seen.__cause__ or seen.__context__
    if "timed out" in str(error):
        return ConnectionLost(Loss.TIMEOUT)
    return ConnectionLost(Loss.CLOSED)


_OTHER_HOST = frozenset({62, 64})
"""OpenSSL's codes for a certificate of another name, or of another IP address."""
_BY_TYPE: tuple[tuple[type[BaseException], Loss], ...] = (
    (ConnectionRefusedError, Loss.REFUSED),
    (socket.gaierror, Loss.NAME_NOT_FOUND),
    (TimeoutError, Loss.TIMEOUT),
    (ConnectionError, Loss.CLOSED),
    (OSError, Loss.UNREACHABLE),
)


def _loss_of(error: BaseException) -> Loss | None:
    match error:
        case ConnectionLost():
            return error.loss
        case aiomqtt.exceptions.MqttConnectError():
            code = code_of(error.rc)
            return _CODES.get(code) or _OLD_CODES.get(code) or Loss.FAILED
        case aiomqtt.MqttCodeError() if isinstance(error.rc, ReasonCode):
            return _CODES.get(error.rc.value)
        case ssl.SSLCertVerificationError():
            other = error.verify_code in _OTHER_HOST
            return Loss.TLS_HOST_NAME if other else Loss.TLS_CERTIFICATE
        case ssl.SSLError():
            return _tls_loss(error)
        case _:
            return next((loss for kind, loss in _BY_TYPE if isinstance(error, kind)), None)


def _tls_loss(error: ssl.SSLError) -> Loss:
    reason = error.reason or ""
    versions = ("VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS", "HTTP_REQUEST", "EOF")
    return Loss.TLS_VERSION if any(word in reason for word in versions) else Loss.TLS


def _detail(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return "" if isinstance(error, (aiomqtt.MqttError, ConnectionLost)) else str(error)
