"""What is wrong with TLS, in words: a handshake that failed, or a file that cannot be used. Names paths, no secret."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DBAPIError

# Numbers of OpenSSL, include/openssl/x509_vfy.h.
_NOT_YET_VALID = 9
_EXPIRED = 10
_UNTRUSTED = {18, 19, 20, 21}
_OTHER_NAME = {62, 64}

_NOT_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}
_OUR_CERTIFICATE = (
    "ALERT_UNKNOWN_CA",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_DECRYPT_ERROR",
)
_NO_CERTIFICATE = "ALERT_CERTIFICATE_REQUIRED"
_NOTHING_SHARED = (
    "ALERT_HANDSHAKE_FAILURE",
    "ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
)


@dataclass(frozen=True)
class TlsFile:
    """A file, and the name of the setting that gave it."""

    setting: str
    path: str | None


@dataclass(frozen=True)
class TlsFiles:
    """The PEM files of one connection. `key` may be left out where the certificate's file has the key too."""

    authorities: TlsFile
    certificate: TlsFile
    key: TlsFile
    key_password: str | None = None

    def problem(self) -> str | None:
        """What is wrong with the first that cannot be used; None if all can."""
        given = [file for file in (self.authorities, self.certificate, self.key) if file.path]
        return next((problem for file in given if (problem := _unreadable(file))), None) or (
            self._authorities_problem() or self._certificate_problem()
        )

    def _authorities_problem(self) -> str | None:
        if not self.authorities.path:
            return None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=self.authorities.path)
        except (OSError, ValueError):
            return f"{self.authorities.setting} names {self.authorities.path}, which has no certificate in PEM form"
        return None

    def _certificate_problem(self) -> str | None:
        if not self.certificate.path:
            return None
        try:
            load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self)
        except (OSError, ValueError) as error:
            if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
                return f"the key in {self.key.path} does not belong to the certificate in {self.certificate.path}"
            paths = " and ".join(path for path in (self.certificate.path, self.key.path) if path)
            return f"{paths} must hold a certificate and its key, both PEM, and the key's password must be right"
        return None


def load_certificate(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Give the context the client certificate. OpenSSL never asks a terminal for the key's password.

    Raises:
        OSError: a file cannot be read; as ssl.SSLError, it cannot be used.
    """
    if files.certificate.path:
        context.load_cert_chain(files.certificate.path, files.key.path, lambda: files.key_password or "")


def handshake_problem(error: BaseException, authorities: str, certificate: str) -> str | None:
    """Why a TLS connection failed, if waiting does not mend it. Takes the names of the two settings to look at."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _refused_by_us(cause, authorities)
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return _refused_by_it(cause.reason, certificate)
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, the latest first."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.orig if isinstance(cause, DBAPIError) else None, cause.__cause__, cause.__context__]


def _refused_by_us(error: ssl.SSLCertVerificationError, authorities: str) -> str:
    code, said = error.verify_code, error.verify_message.rstrip(".")
    if code == _EXPIRED:
        return "its certificate has expired: renew it there"
    if code == _NOT_YET_VALID:
        return "its certificate is not valid yet: compare the clocks of both machines"
    if code in _OTHER_NAME:
        return f"its certificate is for another host name ({said}): connect by a name that the certificate has"
    if code in _UNTRUSTED:
        return f"its certificate is signed by an authority that is not trusted here ({said}): see {authorities}"
    return f"its certificate is not accepted ({said})"


def _refused_by_it(reason: str, certificate: str) -> str | None:
    if reason in _NOT_TLS:
        return "it does not speak TLS on that port"
    if _NO_CERTIFICATE in reason:
        return f"it asks for a client certificate: see {certificate}"
    if any(part in reason for part in _OUR_CERTIFICATE):
        return f"it does not accept the client certificate ({_readable(reason)}): see {certificate}"
    if any(part in reason for part in _NOTHING_SHARED):
        return f"it offers no version of TLS, or no cipher, that is accepted here ({_readable(reason)})"
    return None


def _readable(reason: str) -> str:
    return reason.partition("ALERT_")[2].replace("_", " ").lower() or reason.replace("_", " ").lower()


def _unreadable(file: TlsFile) -> str | None:
    try:
        Path(str(file.path)).read_bytes()
    except OSError as error:
        return f"{file.setting} names {file.path}, which cannot be read ({error.strerror})"
    return None
