"""Apache Kafka in a container, with one listener for each way to be secure, and for each way to get it wrong."""

import secrets
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from reelsync.consumer.settings import Settings
from reelsync.testing.servers.child_process import free_port
from reelsync.testing.servers.topics import create_topics
from tests.services.docker import APACHE_KAFKA_IMAGE
from tests.support.certificates import Pair, make_certificates
from tests.support.token_endpoint import AUDIENCE, TokenEndpoint

USER = "reelsync-user"
PERMISSIONS = (
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users=User:ANONYMOUS",
)
"""Properties with which the user may do only what is granted, and who comes without a login everything."""
_HOME = "/tmp/reelsync"
_DATA = "/tmp/reelsync-data"
_KEYS = f"file:{_HOME}/jwks.json"
_CONTROLLER_PORT = 9090
_START_SECONDS = 90


@dataclass(frozen=True)
class Listener:
    """What one port of the broker does."""

    protocol: str
    shows: str | None = None
    misadvertised: bool = False
    """Bootstrapping works by a name that the certificate has, and leads to one that it has not."""
    wants_certificate: bool = False
    mechanism: str = "SCRAM-SHA-512"
    session_seconds: int = 0
    """How long a login is good for; 0: as long as the connection."""
    port: int = field(default_factory=free_port)


def listeners() -> dict[str, Listener]:
    """All listeners by name; the ports are the same inside and outside."""
    return {
        "plain": Listener("PLAINTEXT"),
        "sasl": Listener("SASL_PLAINTEXT"),
        "tls": Listener("SSL", "server"),
        "mutual": Listener("SSL", "server", wants_certificate=True),
        "both": Listener("SASL_SSL", "server"),
        "elsewhere": Listener("SASL_SSL", "server_elsewhere"),
        "expired": Listener("SASL_SSL", "server_expired"),
        "brief": Listener("SASL_PLAINTEXT", session_seconds=2),
        "token": Listener("SASL_PLAINTEXT", mechanism="OAUTHBEARER", session_seconds=60),
        "misadvertised": Listener("SASL_SSL", "server", misadvertised=True),
    }


class TlsKafka:
    """The container. `address(name)` is where a listener is."""

    def __init__(self, directory: Path, *properties: str) -> None:
        self.password = f"canary-{secrets.token_urlsafe(16)}"
        self.tokens = TokenEndpoint()
        self._listeners = listeners()
        self._container = DockerContainer(APACHE_KAFKA_IMAGE).with_command(
            ["bash", "-c", f"until [ -e {_HOME}/start ]; do sleep 0.1; done; exec bash {_HOME}/start"]
        )
        for listener in self._listeners.values():
            self._container.with_bind_ports(listener.port, listener.port)
        self._directory = directory
        self._more_properties = properties
        self._host = ""

    def address(self, listener: str) -> str:
        """Host and port for REELSYNC_KAFKA__BOOTSTRAP_SERVERS."""
        return f"{self._host}:{self._listeners[listener].port}"

    def start(self) -> None:
        """Start the container, hand it certificates for the name it got, and wait for the broker."""
        self._container.start()
        self._host = self._container.get_container_host_ip()
        self.certificates = make_certificates(self._directory, [self._host], USER)
        for name in ("server", "server_elsewhere", "server_expired"):
            pair: Pair = getattr(self.certificates, name)
            self._put(f"{name}.pem", pair.both.read_bytes())
        self._put("authority.pem", self.certificates.authority.read_bytes())
        self._put("jwks.json", self.tokens.public_keys())
        self._put("server.properties", "\n".join(self._properties()).encode())
        self._put("start", self._script().encode())
        try:
            LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(_START_SECONDS).wait_until_ready(
                self._container
            )
        except (RuntimeError, TimeoutError) as error:
            out, err = self._container.get_logs()
            raise RuntimeError((out + err).decode(errors="replace")[-3000:]) from error

    def stop(self) -> None:
        """Stop and remove the container."""
        self._container.stop()
        self.tokens.stop()

    def restart(self) -> None:
        """Restart the broker in place: its data, its users and its ports stay."""
        self._container.get_wrapped_container().restart(timeout=20)

    def set_password(self, password: str) -> None:
        """Give the user another password. Connections that are open stay open."""
        scram = shlex.quote(f"SCRAM-SHA-512=[password={password}]")
        self.tool("kafka-configs.sh", f"--alter --entity-type users --entity-name {USER} --add-config {scram}")
        self.password = password

    async def create_topics(self) -> dict[str, str]:
        """Two new topics of three partitions, with what is in each, for REELSYNC_KAFKA__TOPICS."""
        suffix = secrets.token_hex(4)
        topics = {f"video-{suffix}": "video", f"user-{suffix}": "user"}
        await create_topics(self.address("plain"), dict.fromkeys(topics, 3))
        return topics

    def change_permissions(self, what: str) -> None:
        """Add permissions of the user, or remove them."""
        self.tool("kafka-acls.sh", f"{what} --force --allow-principal User:{USER}")

    def tool(self, name: str, arguments: str) -> None:
        """Run one of Kafka's own tools in the container, as the operator."""
        command = f"/opt/kafka/bin/{name} --bootstrap-server {self.address('plain')} {arguments}"
        done = self._container.exec(["bash", "-c", command])
        assert done.exit_code == 0, done.output.decode()

    def _put(self, name: str, content: bytes) -> None:
        self._container.copy_into_container(content, f"{_HOME}/{name}", 0o644)

    def _script(self) -> str:
        user = shlex.quote(f"SCRAM-SHA-512=[name={USER},password={self.password}]")
        properties = f"{_HOME}/server.properties"
        cluster = "cmVlbHN5bmMtdGxzLXRlc3Q"
        return f"""set -eu
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted -t {cluster} -c {properties} --add-scram {user}
export KAFKA_OPTS=-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={_KEYS}
exec /opt/kafka/bin/kafka-server-start.sh {properties}
"""

    def _properties(self) -> Iterator[str]:
        named = self._listeners.items()
        yield "process.roles=broker,controller"
        yield "node.id=1"
        yield f"controller.quorum.voters=1@localhost:{_CONTROLLER_PORT}"
        yield "controller.listener.names=CONTROLLER"
        yield "inter.broker.listener.name=PLAIN"
        yield f"listeners=CONTROLLER://:{_CONTROLLER_PORT}," + ",".join(f"{n.upper()}://:{o.port}" for n, o in named)
        hosts = {False: self._host, True: _other_name(self._host)}
        yield "advertised.listeners=" + ",".join(
            f"{name.upper()}://{hosts[listener.misadvertised]}:{listener.port}" for name, listener in named
        )
        yield "listener.security.protocol.map=CONTROLLER:PLAINTEXT," + ",".join(
            f"{name.upper()}:{listener.protocol}" for name, listener in named
        )
        for name, listener in named:
            prefix = f"listener.name.{name}"
            if listener.protocol.startswith("SASL"):
                yield from _login(f"{prefix}.", listener)
            if listener.shows:
                yield f"{prefix}.ssl.keystore.type=PEM"
                yield f"{prefix}.ssl.keystore.location={_HOME}/{listener.shows}.pem"
                yield f"{prefix}.ssl.truststore.type=PEM"
                yield f"{prefix}.ssl.truststore.location={_HOME}/authority.pem"
                yield f"{prefix}.ssl.client.auth={'required' if listener.wants_certificate else 'none'}"
        for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
            yield f"{topic}.replication.factor=1"
        yield "transaction.state.log.min.isr=1"
        yield "share.coordinator.state.topic.min.isr=1"
        yield "group.initial.rebalance.delay.ms=0"
        yield "auto.create.topics.enable=false"
        yield f"log.dirs={_DATA}"
        yield from self._more_properties


def _login(prefix: str, listener: Listener) -> Iterator[str]:
    mechanism = listener.mechanism
    yield f"{prefix}sasl.enabled.mechanisms={mechanism}"
    prefix += f"{mechanism.lower()}."
    yield f"{prefix}connections.max.reauth.ms={listener.session_seconds * 1000}"
    security = "org.apache.kafka.common.security"
    if mechanism != "OAUTHBEARER":
        yield f"{prefix}sasl.jaas.config={security}.scram.ScramLoginModule required;"
        return
    yield f"{prefix}sasl.jaas.config={security}.oauthbearer.OAuthBearerLoginModule required;"
    yield f"{prefix}sasl.server.callback.handler.class={security}.oauthbearer.OAuthBearerValidatorCallbackHandler"
    yield f"{prefix}sasl.oauthbearer.jwks.endpoint.url={_KEYS}"
    yield f"{prefix}sasl.oauthbearer.expected.audience={AUDIENCE}"
    yield f"{prefix}sasl.oauthbearer.clock.skew.seconds=0"


def _other_name(host: str) -> str:
    """Another way to reach the same machine."""
    address = socket.gethostbyname(host)
    return address if address != host else "localhost"


def logged_in(plain: Settings, kafka: TlsKafka, listener: str, **login: str) -> Settings:
    """The same settings for a listener with a login."""
    changes = {"bootstrap_servers": kafka.address(listener), "security_protocol": "SASL_PLAINTEXT"} | login
    return plain.model_copy(
        update={"kafka": type(plain.kafka).model_validate(plain.kafka.model_dump(exclude_unset=True) | changes)}
    )


@contextmanager
def tls_kafka(directory: Path, *properties: str) -> Iterator[TlsKafka]:
    """The broker with these properties more, started and removed. Its certificates are written to the directory."""
    broker = TlsKafka(directory, *properties)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
