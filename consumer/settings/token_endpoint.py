"""Access tokens by OAuth's client credentials, for Kafka's mechanism OAUTHBEARER.

Source: RFC 6749, sections 2.3.1, 4.4 and 5.
"""

import base64
import json
import re
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlsplit

import structlog

from reelsync.consumer.errors import MisconfiguredError, ReelsyncError, UnavailableError

_URL = "REELSYNC_KAFKA__SASL_OAUTH_TOKEN_ENDPOINT_URL"
_SECONDS = 10.0
_AGAIN_SECONDS = 5.0
_ERROR = re.compile(r"[a-z_]{1,40}")
_OK, _REDIRECT, _BAD_REQUEST, _UNAUTHORIZED, _TOO_MANY, _SERVER_ERROR = 200, 300, 400, 401, 429, 500

_log = structlog.get_logger("reelsync.kafka")


class _Token(NamedTuple):
    text: str
    renew_at: float
    ends_at: float


class Client(NamedTuple):
    """A client of a token endpoint."""

    url: str
    client_id: str
    scope: str | None
    source: Hashable
    """The secret, or the file with it. It is a part of the key under which tokens are kept."""

    async def token(self, secret: Callable[[], Awaitable[str]]) -> str:
        """The token. It is used for half of its life, and until its end if there is no new one then.

        Raises:
            MisconfiguredError: the endpoint refuses the client, or is none; or the secret cannot be read.
            UnavailableError: the endpoint does not answer.
        """
        known, now = _tokens.get(self), time.monotonic()
        if known and now < known.renew_at:
            return known.text
        try:
            token = await self._new(secret)
        except ReelsyncError as error:
            if known is None or now >= known.ends_at:
                raise
            left = known.ends_at - time.monotonic()
            _log.warning("kafka.token_not_renewed", error=str(error), good_for_seconds=round(left))
            # Or each login meanwhile would wait for the endpoint.
            token = known._replace(renew_at=time.monotonic() + min(_AGAIN_SECONDS, left / 2))
        _tokens[self] = token
        return token.text

    def forget_token(self) -> None:
        """Request a new token at the next login, because a broker refuses this one."""
        _tokens.pop(self, None)

    async def _new(self, secret: Callable[[], Awaitable[str]]) -> _Token:
        asked_at = time.monotonic()
        status, answer = await self._ask(await secret())
        if status != _OK:
            raise self._refusal(status, answer)
        text, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(text, str) or not text:
            raise MisconfiguredError(f"{self._place} answers without an access_token: see {_URL}")
        life = float(seconds) if isinstance(seconds, int | float | str) and str(seconds).isdecimal() else 0.0
        return _Token(text, asked_at + life / 2, asked_at + life)

    async def _ask(self, secret: str) -> tuple[int, dict[str, Any]]:
        import aiohttp  # noqa: PLC0415 - only those who log in with tokens pay for it

        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        login = base64.b64encode(f"{quote_plus(self.client_id)}:{quote_plus(secret)}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Accept": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS), trust_env=True) as session,
                session.post(self.url, data=form, headers=headers, allow_redirects=False) as response,
            ):
                body = await response.read()
        except aiohttp.ClientConnectorCertificateError as error:
            message = f"the certificate of {self._place} is not trusted here: name its authority in SSL_CERT_FILE"
            raise MisconfiguredError(message) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            message = f"{self._place} does not answer ({type(error).__name__}): is it up, and {_URL} right?"
            raise UnavailableError(message) from error
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        return response.status, answer if isinstance(answer, dict) else {}

    def _refusal(self, status: int, answer: dict[str, Any]) -> ReelsyncError:
        """The error for an answer without a token. Of what the endpoint says only the error's code is shown."""
        said = answer.get("error")
        code = f", {said}" if isinstance(said, str) and _ERROR.fullmatch(said) else ""
        if status >= _SERVER_ERROR or status == _TOO_MANY:
            return UnavailableError(
                f"{self._place} has no token now (HTTP {status}{code}): it is asked again; see {_URL}"
            )
        if said == "invalid_scope":
            return MisconfiguredError(f"{self._place} refuses the scope: see REELSYNC_KAFKA__SASL_OAUTH_SCOPE")
        if status == _UNAUTHORIZED or (status == _BAD_REQUEST and code):
            return MisconfiguredError(
                f"{self._place} refuses the client (HTTP {status}{code}): see REELSYNC_KAFKA__SASL_OAUTH_CLIENT_ID and "
                "…SASL_OAUTH_CLIENT_SECRET"
            )
        return MisconfiguredError(f"{self._place} is no token endpoint (HTTP {status}{code}): see {_URL}")

    @property
    def _place(self) -> str:
        parts = urlsplit(self.url)
        return f"the token endpoint {parts.scheme}://{parts.netloc}{parts.path}"


_tokens: dict[Client, _Token] = {}
"""What this process has, for all of its clients of Kafka: some live for one question."""


def seconds_since_end(token: str) -> float | None:
    """How long ago a token ended by what it says itself; None if it does not say so, or has not ended."""
    try:
        payload = token.split(".")[1]
        ended = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return since if (since := time.time() - float(ended)) > 0 else None
    except (IndexError, KeyError, TypeError, ValueError):
        return None
