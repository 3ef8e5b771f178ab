"""Logins to brokers that are repeated before their sessions end. The password or token is read anew for each login.

A broker may limit the time of a login (`connections.max.reauth.ms`), and a token expires. After that the broker closes
the connection at the next request. So a client has to log in again over the same connection (KIP-368). aiokafka does
not do so; the connections here do, while fetches, heartbeats and commits continue.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Mapping
from typing import Any

from aiokafka import client
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import AIOKafkaConnection, CloseReason, OAuthAuthenticator
from aiokafka.errors import KafkaError, SaslAuthenticationFailed
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest

from reelsync.consumer.errors import ReelsyncError, UnavailableError
from reelsync.consumer.settings import KafkaSettings
from reelsync.consumer.settings.passwords import forget_kafka_password, kafka_password

_SECRET_SECONDS = 20.0
_RENEWED_AT = 0.85
"""As a share of the session. Kafka's own client logs in again between 85 and 95 % of it."""
_LEAST_SECONDS = 1.1
"""A broker accepts one login a second on each connection."""
_AGAIN_SECONDS = 1.0
_REFUSED_TOKEN = b"\x01"


class LoginError(KafkaError):
    """The password or the token cannot be obtained. `problem` says why."""

    def __init__(self, problem: ReelsyncError) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Login(AbstractTokenProvider):
    """The password, or the token, with which all connections of a client log in."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._password = kafka_password(settings)

    async def token(self) -> str:
        """The present password or token.

        Raises:
            LoginError: it cannot be obtained.
        """
        try:
            async with asyncio.timeout(_SECRET_SECONDS):
                return await self._password()
        except ReelsyncError as error:
            # `from None`, because raising `problem` later from this error would make a circle of causes.
            raise LoginError(error) from None
        except TimeoutError as error:
            message = f"the password or token for the brokers did not come within {_SECRET_SECONDS:g} s"
            raise LoginError(UnavailableError(message)) from error

    def extensions(self) -> Mapping[str, str]:
        """The SASL extensions that are sent with a token."""
        given = (self._settings.sasl_oauth_extensions or "").split(",")
        return dict(name_and_value.split("=", 1) for name_and_value in given if name_and_value)

    def refused(self) -> None:
        """Forget the token, because a broker refuses it."""
        forget_kafka_password(self._settings)


class Connection(AIOKafkaConnection):
    """A connection that logs in again before its session is over.

    Requests that are sent meanwhile wait. If a new password or token cannot be obtained, the old session is used until
    it ends.
    """

    _renew_at = math.inf
    _session_ends = math.inf
    _lifetime = 0.0
    """Seconds from one login to the end of its session; 0: none."""
    _renewal: asyncio.Task[None] | None = None
    _logging_in = False

    @property
    def _login(self) -> Login:
        login: Login = self._sasl_oauth_token_provider
        return login

    def send(self, request: Any, expect_response: bool = True) -> Awaitable[Any]:  # noqa: FBT001, FBT002 - aiokafka's
        """Send a request. While a login is under way, or the session is over, the request waits for the new login."""
        if isinstance(request, SaslAuthenticateRequest):
            return self._authenticate(request)
        now = time.monotonic()
        is_due = now >= min(self._renew_at, self._session_ends)
        if (is_due or self._logging_in) and not isinstance(request, SaslHandShakeRequest):
            self._renewal = self._renewal or asyncio.create_task(self._renew())
            if self._logging_in or now >= self._session_ends:
                return self._send_after(self._renewal, request, expect_response)
        sent: Awaitable[Any] = super().send(request, expect_response)
        return sent

    def close(self, reason: CloseReason | None = None, exc: BaseException | None = None) -> Any:
        """Close the connection, and end a login that is under way."""
        if self._renewal and self._renewal is not asyncio.current_task():
            self._renewal.cancel()
        return super().close(reason, exc)

    async def _send_after(self, renewal: asyncio.Task[None], request: Any, expect_response: bool) -> Any:  # noqa: FBT001
        # A cancellation here must not end the login, for which other requests wait.
        await asyncio.wait({renewal})
        return await super().send(request, expect_response)

    async def _do_sasl_handshake(self) -> None:
        await self._log_in(await self._login.token())

    async def _log_in(self, secret: str) -> None:
        self._sasl_plain_password = secret
        started = time.monotonic()
        try:
            await super()._do_sasl_handshake()
        except SaslAuthenticationFailed:
            self._login.refused()
            raise
        seconds = self._lifetime
        self._session_ends = started + seconds if seconds else math.inf
        self._renew_at = started + max(_RENEWED_AT * seconds, _LEAST_SECONDS) if seconds else math.inf

    async def _renew(self) -> None:
        """Log in again. If that fails the connection is closed, and the next request opens another one."""
        try:
            # Later than now if the session was shorter than the time that must be between two logins.
            await asyncio.sleep(self._renew_at - time.monotonic())
            secret = await self._login.token()
            self._logging_in = True
            await self._log_in(secret)
        except LoginError as error:
            if time.monotonic() < self._session_ends:
                self._renew_at = time.monotonic() + _AGAIN_SECONDS
            else:
                self.close(CloseReason.AUTH_FAILURE, error)
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            self.close(CloseReason.AUTH_FAILURE, error)
        finally:
            self._renewal, self._logging_in = None, False

    async def _authenticate(self, request: SaslAuthenticateRequest) -> Any:
        answer = await super().send(request)
        # SCRAM has two of these exchanges, and only the last one's answer says it.
        self._lifetime = getattr(answer, "session_lifetime_ms", 0) / 1000
        return answer

    def authenticator_oauth(self) -> OAuthAuthenticator:
        """What aiokafka asks for the messages of OAUTHBEARER."""
        return _Bearer(sasl_oauth_token_provider=_Fetched(self._sasl_plain_password, self._login.extensions()))


class _Fetched(AbstractTokenProvider):
    def __init__(self, token: str, extensions: Mapping[str, str]) -> None:
        self._token = token
        self._extensions = extensions

    async def token(self) -> str:
        return self._token

    def extensions(self) -> Mapping[str, str]:
        return self._extensions


class _Bearer(OAuthAuthenticator):
    """A broker says that a token is refused in a first answer, and refuses the login when that was answered (RFC 7628).

    aiokafka takes the first answer for a success.
    """

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if payload:
            return _REFUSED_TOKEN, True
        next_step: tuple[bytes, bool] | None = await super().step(payload)
        return next_step


_aiokafkas = client.create_conn


async def create_conn(host: str, port: int, **options: Any) -> AIOKafkaConnection:
    """A connection to a broker, which logs in again if it has a `Login`."""
    if not isinstance(options.get("sasl_oauth_token_provider"), Login):
        return await _aiokafkas(host, port, **options)
    connection = Connection(host, port, **options)
    await connection.connect()
    return connection


def keep_logged_in() -> None:
    """Make all aiokafka clients of this process use `create_conn` of this module. A second call changes nothing."""
    client.create_conn = create_conn
