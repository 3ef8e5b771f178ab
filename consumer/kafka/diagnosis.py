"""Why no broker can be used. aiokafka only logs what a broker answered, so each broker is asked again here."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
    for_code,
)
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from reelsync.consumer.errors import (
    GroupRefusedError,
    KafkaFailedError,
    MisconfiguredError,
    ReelsyncError,
    UnavailableError,
    WrongPortError,
)
from reelsync.consumer.other_protocols import protocol_of
from reelsync.consumer.settings import KafkaSettings
from reelsync.consumer.settings.broker_addresses import Address, addresses_of
from reelsync.consumer.settings.passwords import kafka_password
from reelsync.consumer.settings.token_endpoint import seconds_since_end
from reelsync.consumer.tls import handshake_problem

from .clients import login_options
from .logins import LoginError, create_conn

_PROBE_SECONDS = 5.0
_PROTOCOL = "REELSYNC_KAFKA__SECURITY_PROTOCOL"
_SERVERS = "REELSYNC_KAFKA__BOOTSTRAP_SERVERS"


@asynccontextmanager
async def diagnosed(settings: KafkaSettings) -> AsyncIterator[None]:
    """Explain a failure of Kafka to people. What anything else fails with meanwhile goes through as it is.

    Raises:
        ReelsyncError: see `diagnose`.
    """
    try:
        yield
    except GroupRefusedError:
        raise
    except KafkaFailedError as error:
        raise await diagnose(settings, error.__cause__ or error) from error


async def diagnose(settings: KafkaSettings, error: BaseException) -> ReelsyncError:
    """The error to report for brokers that could not be used.

    MisconfiguredError if a broker answers and one side refuses the other in a way in which waiting does not help;
    otherwise UnavailableError.
    """
    asked: set[Address] = set()
    not_found: list[str] = []
    waiting = addresses_of(settings.bootstrap_servers)
    try:
        while waiting:
            address = waiting.pop(0)
            if address in asked:
                continue
            asked.add(address)
            try:
                problem, others = await _ask(settings, address)
            except socket.gaierror:
                not_found.append(address.host)
                continue
            if problem:
                return MisconfiguredError(f"the broker at {address} cannot be used: {problem}")
            waiting += others
    except (MisconfiguredError, UnavailableError) as known:
        return known
    if not_found:
        return UnavailableError(
            f"no broker answers at {settings.bootstrap_servers}, name not found: {', '.join(not_found)}: see "
            f"{_SERVERS}, the brokers' advertised.listeners, and the network's DNS"
        )
    return UnavailableError(
        f"no broker answers at {settings.bootstrap_servers} ({type(error).__name__}): is Kafka up, and "
        f"{_SERVERS}, …SECURITY_PROTOCOL, …SASL_* and …SSL_* right?"
    )


async def _ask(settings: KafkaSettings, address: Address) -> tuple[str | None, list[Address]]:
    """What is wrong at a broker, if it answers, and the other brokers that it names.

    Raises:
        socket.gaierror: its name is not found.
        WrongPortError: it is not a broker.
    """
    try:
        connection = await _connect(settings, address)
    except ConnectionRefusedError:
        return None, []
    except socket.gaierror:
        raise
    except LoginError as error:
        raise error.problem from None
    except (KafkaError, OSError, TimeoutError) as error:
        problem = await _login_problem(settings, error)
        if problem is None and not isinstance(error, TimeoutError):
            problem = await _protocol_problem(settings, address)
        if problem is None and (other := await asyncio.to_thread(protocol_of, *address, "Kafka")):
            raise WrongPortError(f"{address} is not a broker: {other} answers there: see {_SERVERS}") from None
        return problem, []
    try:
        brokers = (await connection.send(MetadataRequest([]))).brokers
    except (KafkaError, OSError, TimeoutError) as error:
        return await _login_problem(settings, error) or await _wants_login(settings, address), []
    finally:
        connection.close()
    return None, [Address(host, port) for _, host, port, *_ in brokers]


async def _connect(settings: KafkaSettings, address: Address, protocol: str | None = None) -> AIOKafkaConnection:
    return await create_conn(
        *address,
        client_id="reelsync",
        request_timeout_ms=int(_PROBE_SECONDS * 1000),
        security_protocol=protocol or settings.security_protocol,
        **await login_options(settings),
    )


async def _login_problem(settings: KafkaSettings, error: BaseException) -> str | None:
    if isinstance(error, SaslAuthenticationFailed) and settings.sasl_mechanism == "OAUTHBEARER":
        return await _token_problem(settings)
    if isinstance(error, SaslAuthenticationFailed):
        return (
            "it refuses the user or the password: see REELSYNC_KAFKA__SASL_USERNAME, …SASL_PASSWORD and …SASL_MECHANISM"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"it does not offer {settings.sasl_mechanism}: see REELSYNC_KAFKA__SASL_MECHANISM"
    if isinstance(error, IllegalSaslStateError | UnsupportedVersionError):
        return f"it accepts no SASL login on that port: see {_PROTOCOL}"
    return handshake_problem(error, "REELSYNC_KAFKA__SSL_CAFILE", "REELSYNC_KAFKA__SSL_CERTFILE and …SSL_KEYFILE")


async def _token_problem(settings: KafkaSettings) -> str:
    """Why a broker may refuse the token."""
    ended = seconds_since_end(await kafka_password(settings)())
    if settings.sasl_oauth_token_endpoint_url:
        source, fix = "REELSYNC_KAFKA__SASL_OAUTH_TOKEN_ENDPOINT_URL", "REELSYNC_KAFKA__SASL_OAUTH_SCOPE, "
    else:
        name = "FILE" if settings.sasl_password_file else "PROVIDER"
        source, fix = f"REELSYNC_KAFKA__SASL_PASSWORD_{name}", ""
    if ended is not None:
        return (
            f"it refuses the token, which has expired {ended:,.0f} s ago by this machine's clock: {source} must give "
            "a new one each time"
        )
    return (
        f"it refuses the token from {source}: see {fix}the clocks of both machines, and which issuer, audience and "
        "scope the broker expects"
    )


async def _protocol_problem(settings: KafkaSettings, address: Address) -> str | None:
    """Whether one side uses TLS and the other does not. The other protocol is only tried; nothing is sent over it."""
    if not settings.security_protocol.endswith("SSL"):
        if await _speaks_tls(address):
            return f"it speaks TLS on that port: {_PROTOCOL} must be SSL or SASL_SSL"
        return None
    with suppress(KafkaError, OSError, TimeoutError):
        (await _connect(settings, address, "PLAINTEXT")).close()
        return f"it does not speak TLS on that port: see {_PROTOCOL}"
    return None


async def _speaks_tls(address: Address) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PROBE_SECONDS):
            _, writer = await asyncio.open_connection(*address, ssl=context)
        writer.transport.abort()
        return True
    return False


async def _wants_login(settings: KafkaSettings, address: Address) -> str | None:
    """Whether a broker that closes connections without a login would accept a login."""
    if settings.security_protocol.startswith("SASL"):
        return None
    with suppress(KafkaError, OSError, TimeoutError):
        connection = await _connect(settings, address)
        try:
            answer = await connection.send(SaslHandShakeRequest(settings.sasl_mechanism))
        finally:
            connection.close()
        if not issubclass(for_code(answer.error_code), IllegalSaslStateError):
            with_login = "SASL_SSL" if settings.security_protocol == "SSL" else "SASL_PLAINTEXT"
            return f"it requires a login on that port: {_PROTOCOL} must be {with_login}"
    return None
