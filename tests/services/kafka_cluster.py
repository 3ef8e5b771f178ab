"""Three Apache Kafka brokers in containers, each in a rack: every partition on all, two of which must have a record."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Self

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from reelsync.testing.servers.child_process import free_port
from reelsync.testing.servers.topics import create_topics
from tests.services.docker import APACHE_KAFKA_IMAGE

_BROKERS = (1, 2, 3)
_START_SECONDS = 120
_COMMON = {
    "CLUSTER_ID": "cmVlbHN5bmMtY2x1c3Rlcg",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "INTERNAL",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT",
    "KAFKA_LISTENERS": "INTERNAL://:19092,CONTROLLER://:9093,EXTERNAL://:9092",
    "KAFKA_DEFAULT_REPLICATION_FACTOR": "3",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "3",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "3",
    "KAFKA_MIN_INSYNC_REPLICAS": "2",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "500",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_LOG_RETENTION_MS": "-1",
    "KAFKA_BROKER_SESSION_TIMEOUT_MS": "4000",
    "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500",
    # A broker that was away soon leads its partitions again.
    "KAFKA_LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS": "1",
    "KAFKA_LEADER_IMBALANCE_PER_BROKER_PERCENTAGE": "0",
    "KAFKA_HEAP_OPTS": "-Xmx384m",
    "KAFKA_REPLICA_SELECTOR_CLASS": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
}


class KafkaCluster:
    """The cluster, while this is entered. Brokers are called 1, 2 and 3, and keep their ports.

    `told` are the ports that clients are told to connect to, if these are of proxies.
    """

    def __init__(self, told: Mapping[int, int] | None = None) -> None:
        self._ports = {broker: free_port() for broker in _BROKERS}
        self._told = told or self._ports
        self._stack = ExitStack()
        self._containers: dict[int, DockerContainer] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            outer = stack.enter_context(Network())
            self._inner = stack.enter_context(Network(docker_network_kw={"internal": True}))
            for broker in _BROKERS:
                self._containers[broker] = self._container(broker).with_network(outer)
                stack.callback(self._containers[broker].stop)
                self._containers[broker].start()
                self._join(broker)
            for broker in _BROKERS:
                self._wait(broker)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def bootstrap_servers(self) -> str:
        """All three."""
        return ",".join(f"127.0.0.1:{port}" for port in self._told.values())

    @property
    def address(self) -> tuple[str, int]:
        """Where the first listens."""
        return "127.0.0.1", self._ports[_BROKERS[0]]

    async def create_topics(self, partitions: Mapping[str, int]) -> None:
        """Create topics that are on all three brokers."""
        await create_topics(self.bootstrap_servers, partitions, replicas=len(_BROKERS))

    def port(self, broker: int) -> int:
        """Where a broker listens."""
        return self._ports[broker]

    def kill(self, broker: int) -> None:
        """End a broker as a crash does."""
        container = self._containers[broker].get_wrapped_container()
        container.kill(signal="SIGKILL")
        assert container.wait(timeout=30)["StatusCode"] == 137

    def restart(self, broker: int) -> None:
        """Start a broker that was killed, with the log it had."""
        self._containers[broker].get_wrapped_container().start()

    @contextmanager
    def cut_off(self, broker: int) -> Iterator[None]:
        """During the block the broker and the other two do not reach each other. Clients reach all three."""
        self._inner._network.disconnect(self._containers[broker].get_wrapped_container())
        try:
            yield
        finally:
            self._join(broker)

    def leads_the_cluster(self) -> int:
        """The broker that is the active controller, by what all of them logged."""
        logs = b"".join(container.get_wrapped_container().logs() for container in self._containers.values())
        elected = re.findall(rb"QuorumController id=(\d)\] Becoming the active controller at epoch (\d+)", logs)
        return int(max(elected, key=lambda found: int(found[1]))[0])

    def _join(self, broker: int) -> None:
        container = self._containers[broker].get_wrapped_container()
        self._inner._network.connect(container, aliases=[_host(broker)])

    def _container(self, broker: int) -> DockerContainer:
        hosts = {number: _host(number) for number in _BROKERS}
        container = DockerContainer(APACHE_KAFKA_IMAGE)
        container.with_bind_ports(9092, self._ports[broker])
        own = {
            "KAFKA_NODE_ID": str(broker),
            "KAFKA_BROKER_RACK": f"rack-{broker}",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": ",".join(f"{number}@{host}:9093" for number, host in hosts.items()),
            "KAFKA_ADVERTISED_LISTENERS": (
                f"INTERNAL://{hosts[broker]}:19092,EXTERNAL://127.0.0.1:{self._told[broker]}"
            ),
        }
        for key, value in (_COMMON | own).items():
            container.with_env(key, value)
        return container

    def _wait(self, broker: int) -> None:
        started = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(_START_SECONDS)
        started.wait_until_ready(self._containers[broker])


def _host(broker: int) -> str:
    """Its name in the network between the brokers."""
    return f"kafka-{broker}"
