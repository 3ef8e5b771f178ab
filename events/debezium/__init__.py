"""Records that Debezium publishes: the rows of an upstream table as they change, or an outbox table's rows.

`topics` says how a topic is to be read; `envelopes` reads row changes, `outbox` reads what the outbox event router
routes; both give the events that everything else works on. Read from records of Debezium 3.6 (PostgreSQL, pgoutput).
"""

from .envelopes import parse_row_change, row_change_parser
from .keys import id_in_record
from .outbox import parse_outbox_record
from .topics import CapturedRecord, OutboxTopic, RowChangeTopic, Topic

__all__ = [
    "CapturedRecord",
    "OutboxTopic",
    "RowChangeTopic",
    "Topic",
    "id_in_record",
    "parse_outbox_record",
    "parse_row_change",
    "row_change_parser",
]
