"""`reelsync run` as it is with brokers that have no topic ids, older than Apache Kafka 3.1."""

import sys

from reelsync.consumer.cli import app
from reelsync.consumer.kafka import protocol as kafka_protocol

kafka_protocol.MetadataRequestWithIds.API_VERSION = 10_000
kafka_protocol.FetchRequestById.API_VERSION = 10_000

if __name__ == "__main__":
    sys.argv = ["reelsync", "run"]
    app()
