"""Debezium's JDBC sink in a worker of Kafka Connect, with the settings that were found to be the fastest.

It writes into the same table as all others. The schema of its records is in the configuration once, so that records do
not have to carry it.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import make_url

from benchmarks.contenders.assignment import SESSION_MS, Assignment, Launch, environment
from benchmarks.contenders.connect_libraries import libraries
from benchmarks.forms import COLUMNS
from reelsync.testing.servers.child_process import free_port

_HEAP = ("-Xms1g", "-Xmx2g")
_BATCH, _BATCHES = 10_000, {"unique": 2_000}
"""The fastest size, and by workload where it is another: small ones where each record is a row."""
_FETCH_AT_LEAST, _FETCH_WAIT_MS, _FETCH_PARTITION, _FETCH = 1 << 20, 500, 16 << 20, 64 << 20

_TEXT = {"type": "string"}
_UUID = {"type": "string", "name": "io.debezium.data.Uuid"}
_TIME = {"type": "string", "name": "io.debezium.time.ZonedTimestamp"}
_OTHER_TYPES: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("id", "user_id"), _UUID),
    **dict.fromkeys(("failed_at", "started_at", "completed_at", "deleted_at", "created_at", "updated_at"), _TIME),
    "progress": {"type": "int16"},
    "duration_seconds": {"type": "double"},
    "processing_time": {"type": "double"},
    "file_size": {"type": "int64"},
    "version": {"type": "int64"},
}
"""The types of the columns that are not text."""


def launches(assignment: Assignment, tasks: int) -> list[Launch]:
    """A worker with the sink in it."""
    command = [
        *("java", *_HEAP, "-Duser.timezone=UTC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
        *("-cp", f"{libraries()}/worker/*", "org.apache.kafka.connect.cli.ConnectStandalone"),
        *("worker.properties", "sink.properties"),
    ]
    files = {"worker.properties": _worker(assignment), "sink.properties": _sink(assignment, tasks)}
    return [Launch(command, environment(), {name: _properties(values) for name, values in files.items()})]


def _worker(assignment: Assignment) -> Mapping[str, Any]:
    return {
        "bootstrap.servers": assignment.bootstrap_servers,
        "plugin.path": f"{libraries()}/plugins",
        "plugin.discovery": "service_load",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": json.dumps(_schema(assignment)),
        "offset.storage.file.filename": "offsets",
        "offset.flush.interval.ms": 5_000,
        "listeners": f"http://127.0.0.1:{free_port()}",
        "connector.client.config.override.policy": "All",
    }


def _sink(assignment: Assignment, tasks: int) -> Mapping[str, Any]:
    url = make_url(assignment.database_url)
    batch = _BATCHES.get(assignment.workload, _BATCH)
    return {
        "name": assignment.group,
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "topics": assignment.topic,
        "tasks.max": tasks,
        "connection.url": f"jdbc:postgresql://{url.host}:{url.port or 5432}/{url.database}",
        "connection.username": url.username,
        "connection.password": url.password or "",
        "connection.pool.min_size": 1,
        "collection.name.format": "videos",
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "id",
        "schema.evolution": "none",
        "batch.size": batch,
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": "true",
        "consumer.override.max.poll.records": batch,
        "consumer.override.fetch.min.bytes": _FETCH_AT_LEAST,
        "consumer.override.fetch.max.wait.ms": _FETCH_WAIT_MS,
        "consumer.override.max.partition.fetch.bytes": _FETCH_PARTITION,
        "consumer.override.fetch.max.bytes": _FETCH,
        "consumer.override.session.timeout.ms": SESSION_MS,
    }


def _schema(assignment: Assignment) -> Mapping[str, Any]:
    types = {name: _OTHER_TYPES.get(name, _TEXT) for name in COLUMNS}
    columns = [{"field": name, "optional": name != "id", **column} for name, column in types.items()]
    row = {"type": "struct", "name": "studio.public.videos.Value", "fields": columns}
    if assignment.form == "rows":
        return row | {"optional": False}
    position = [{"field": name, "type": "int64", "optional": True} for name in ("ts_ms", "lsn")]
    members = [
        {"field": "before", "optional": True, **row},
        {"field": "after", "optional": True, **row},
        {"field": "source", "type": "struct", "name": "source", "optional": False, "fields": position},
        {"field": "op", "type": "string", "optional": False},
        {"field": "ts_ms", "type": "int64", "optional": True},
    ]
    return {"type": "struct", "optional": False, "name": "studio.public.videos.Envelope", "fields": members}


def _properties(values: Mapping[str, Any]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())
