"""Publishing: typed events over the Kafka producer that a service has. Pydantic and the standard library only.

`publisher` sends and waits for the acknowledgement, `encoding` makes the record, `delivery` knows the producers, and
`clock` gives versions to a service that has no row version. docs/publishing.md explains how to use them.
"""

from .clock import HybridClock
from .delivery import AIOKAFKA_OPTIONS, CONFLUENT_OPTIONS, DeliveryError, Sent, deliver, deliver_blocking
from .encoding import MAX_VALUE_BYTES, EventEncoder, Mode, OutgoingRecord
from .publisher import BlockingPublisher, Publisher
from .uuid7 import uuid7

__all__ = [
    "AIOKAFKA_OPTIONS",
    "CONFLUENT_OPTIONS",
    "MAX_VALUE_BYTES",
    "BlockingPublisher",
    "DeliveryError",
    "EventEncoder",
    "HybridClock",
    "Mode",
    "OutgoingRecord",
    "Publisher",
    "Sent",
    "deliver",
    "deliver_blocking",
    "uuid7",
]
