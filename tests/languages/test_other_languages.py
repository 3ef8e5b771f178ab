"""Node and Go agree on the vectors with what JSON Schema says; all clients agree on the partition of a key."""

import json
import random
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import Producer

from reelsync.events.contract_files import SCHEMA_DIRECTORY, export_contract
from reelsync.events.publishing import CONFLUENT_OPTIONS
from tests.languages.toolchains import run
from tests.services.contract import Broker

pytestmark = pytest.mark.timeout(900)  # a first run compiles libraries
VECTORS = [json.loads(line) for line in (SCHEMA_DIRECTORY / "vectors.jsonl").read_text().splitlines()]

_DEEP = "its parser of JSON takes any depth"
_DOUBLE = "its numbers are doubles, so that this one equals the greatest allowed"
DIFFERENT: Mapping[str, Mapping[str, str]] = {
    "node": {
        "JSON too deep": _DEEP,
        "version 4611686018427387904": _DOUBLE,
        "file_size 9223372036854775808": _DOUBLE,
        "processing_time 1e999": "it reads an infinity, which ajv refuses as a number",
    },
    "go": {"JSON too deep": _DEEP},
}
"""The vectors on which a language's verdict is not the contract's, and why. All others must be the same."""


def _node(project: Path) -> str:
    return run("node", "vectors.mjs", SCHEMA_DIRECTORY, cwd=project)


def _go(project: Path) -> str:
    return run("go", "run", "./vectors", SCHEMA_DIRECTORY, cwd=project)


@pytest.mark.parametrize(("language", "judge"), [("node", _node), ("go", _go)], ids=["node", "go"])
def test_a_program_that_has_the_files_alone_comes_to_the_same_verdicts(
    request: pytest.FixtureRequest, language: str, judge: Callable[[Path], str]
) -> None:
    said = [json.loads(line) for line in judge(request.getfixturevalue(f"{language}_project")).splitlines()]
    assert [one["name"] for one in said] == [vector["name"] for vector in VECTORS]
    different = [vector["name"] for vector, one in zip(VECTORS, said, strict=True) if _expected(vector) != _heard(one)]
    assert sorted(different) == sorted(DIFFERENT[language])


def _expected(vector: dict[str, Any]) -> tuple[bool, bool, bool]:
    """Whether JSON Schema takes it, if there is a schema to ask, for a writer and for a reader."""
    schemas = vector.get("schemas", {"writer": False, "reader": False})
    known = vector["verdict"] == "accepted" or (schemas["reader"] and "max_value_bytes" not in vector)
    return known, schemas["writer"], schemas["reader"]


def _heard(said: dict[str, Any]) -> tuple[bool, bool, bool]:
    return said["accepted"], said.get("writer", False), said.get("reader", False)


def test_types_for_typescript_are_generated_and_strict(node_project: Path, tmp_path: Path) -> None:
    export_contract(tmp_path / "contract")
    run("npx", "json2ts", "-i", tmp_path / "contract" / "writer", "-o", tmp_path / "types", cwd=node_project)
    assert len(list((tmp_path / "types").glob("*.d.ts"))) == len(list((SCHEMA_DIRECTORY / "writer").iterdir()))
    (tmp_path / "tsconfig.json").write_text('{"compilerOptions": {"strict": true, "noEmit": true, "types": []}}')
    (tmp_path / "right.ts").write_text(_TYPED)
    run("npx", "tsc", "--strict", "--project", tmp_path, cwd=node_project)
    (tmp_path / "wrong.ts").write_text(_TYPED.replace("progress: 40", 'progress: "40"'))
    with pytest.raises(AssertionError, match=r"wrong\.ts"):
        run("npx", "tsc", "--strict", "--project", tmp_path, cwd=node_project)


_TYPED = """
import type { VideoProgressed } from "./types/video.progressed.1";

export const data: VideoProgressed["data"] = { video_id: "a", user_id: "b", version: 4, progress: 40 };
"""

PARTITIONS = 97


@pytest.fixture(scope="module")
def keys() -> list[bytes]:
    """Ids, and bytes of every length: the hash takes four at a time."""
    made = random.Random(18)
    ids = [str(uuid.UUID(int=made.getrandbits(128))).encode() for _ in range(5_000)]
    return ids + [made.randbytes(1 + number % 64) for number in range(5_000)]


@pytest.fixture(scope="module")
def partitions(keys: list[bytes]) -> list[int]:
    """By aiokafka's partitioner."""
    all_of_them = list(range(PARTITIONS))
    found = [DefaultPartitioner()(key, all_of_them, all_of_them) for key in keys]
    assert len(set(found)) == PARTITIONS
    return found


async def test_librdkafka_puts_every_key_where_aiokafka_does(
    broker: Broker, keys: list[bytes], partitions: list[int]
) -> None:
    topic = f"partitions-{uuid.uuid4().hex}"
    await broker.create_topics({topic: PARTITIONS})
    assert _delivered(broker, topic, keys, CONFLUENT_OPTIONS) == partitions
    by_default = _delivered(broker, topic, keys, {"acks": "all"})
    assert by_default != partitions, "librdkafka has another partitioner by default, which is why the option is there"


def _delivered(broker: Broker, topic: str, keys: list[bytes], options: Mapping[str, Any]) -> list[int]:
    """Where librdkafka's records were acknowledged."""
    found: dict[bytes, int] = {}
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 50, **options})
    for key in keys:
        producer.produce(
            topic, key=key, value=b"", on_delivery=lambda _, sent: found.update({sent.key(): sent.partition()})
        )
    assert producer.flush(60) == 0
    return [found[key] for key in keys]


@pytest.mark.parametrize("language", ["java", "node", "go"])
def test_so_do_the_clients_of_other_languages(
    request: pytest.FixtureRequest, language: str, keys: list[bytes], partitions: list[int]
) -> None:
    project = request.getfixturevalue(f"{language}_project")
    command = {
        "java": lambda: ["java", "-cp", (project / "classpath").read_text(), "Partitions.java"],
        "node": lambda: ["node", "partitions.mjs"],
        "go": lambda: ["go", "run", "./partitions"],
    }[language]()
    encoded = "".join(b64encode(key).decode() + "\n" for key in keys)
    said = run(*command, str(PARTITIONS), cwd=project, stdin=encoded)
    assert [int(line) for line in said.split()] == partitions
