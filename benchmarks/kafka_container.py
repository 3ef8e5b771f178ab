"""Apache Kafka in a container, on the host's network, so that there is no proxy before it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from reelsync.testing.servers.child_process import ServiceError, free_port

IMAGE = "apache/kafka:4.3.1"
_START_SECONDS = 90.0
_GROUP_DELAY_MS = 1_500
"""How long a new group waits for its other members. One that began without them could not take them in at the gate."""
_HEAP = "-Xms1g -Xmx1g"


class KafkaContainer(NamedTuple):
    """A running broker. `pid` is its process as the host sees it."""

    bootstrap_servers: str
    image: str
    pid: int


@contextmanager
def kafka_container() -> Iterator[KafkaContainer]:
    """One broker in KRaft mode with a heap of 1 GiB and G1, as Kafka's documentation advises. Removed at the end.

    BENCH_KAFKA_IMAGE names another image of the project's own kind (KAFKA_… variables are its configuration).

    Raises:
        ServiceError: there is no Docker, or the broker did not come up.
    """
    image = os.environ.get("BENCH_KAFKA_IMAGE", IMAGE)
    port, controller = free_port(), free_port()
    container = _docker("run", "--detach", "--rm", "--network=host", *_environment(port, controller), image)
    try:
        _wait_for(port)
        yield KafkaContainer(f"127.0.0.1:{port}", image, int(_docker("inspect", "-f", "{{.State.Pid}}", container)))
    finally:
        _docker("rm", "--force", "--volumes", container)


def _environment(port: int, controller: int) -> list[str]:
    configuration = {
        "CLUSTER_ID": "cmVlbHN5bmMtY2x1c3Rlcg",
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@127.0.0.1:{controller}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_LISTENERS": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": str(_GROUP_DELAY_MS),
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_HEAP_OPTS": _HEAP,
        "KAFKA_JVM_PERFORMANCE_OPTS": "-XX:+UseG1GC",
    }
    return [f"--env={name}={value}" for name, value in configuration.items()]


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise ServiceError("Apache Kafka is run in Docker, which is not installed: leave BROKER out") from None
    if done.returncode:
        raise ServiceError(f"docker {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise ServiceError(f"Apache Kafka did not listen within {_START_SECONDS:g} s") from None
            time.sleep(0.2)
        else:
            return
