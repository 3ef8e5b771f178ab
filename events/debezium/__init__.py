"""Records that Debezium publishes: the changed rows of an upstream table, or the rows of an outbox table.

`topics` says how a topic is to be read. `envelopes` reads row changes, and `outbox` reads the records of the outbox
event router. Both give the same events as the contract's own records. Made from records of Debezium 3.6 (PostgreSQL,
pgoutput).
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
