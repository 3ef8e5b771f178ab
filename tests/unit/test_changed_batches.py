"""A stored batch of which a bit has changed: nothing in it counts, and where it is stays known."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from reelsync.consumer.kafka.record_batches import ReadableRecords

_ATTRIBUTES = 22
"""The byte whose bits say whether a batch is compressed, transactional, and for brokers alone."""
_CONTROL, _TRANSACTIONAL = 0x20, 0x10
_LAST_OFFSET = 26
"""The last byte of the difference between a batch's last and first offsets."""


def stored() -> bytearray:
    nobody = {"is_transactional": 0, "producer_id": -1, "producer_epoch": -1, "base_sequence": -1}
    builder = DefaultRecordBatchBuilder(2, 0, batch_size=10_000, **nobody)
    for offset in range(3):
        builder.append(offset, 1_000, b"key", b"value %d" % offset, [])
    return bytearray(builder.build())


def test_a_batch_as_it_was_stored_is_read() -> None:
    batch = ReadableRecords(bytes(stored())).next_batch()
    assert batch
    assert batch.validate_crc()
    assert [record.value for record in batch] == [b"value 0", b"value 1", b"value 2"]


@pytest.mark.parametrize(
    ("at", "bit"),
    [
        pytest.param(_ATTRIBUTES, _CONTROL, id="it looks like a batch for brokers, which are skipped"),
        pytest.param(_ATTRIBUTES, _TRANSACTIONAL, id="it looks like a part of a transaction"),
        pytest.param(-10, 4, id="a value"),
    ],
)
def test_a_changed_batch_is_unreadable_before_anything_else_is_read_of_it(at: int, bit: int) -> None:
    changed = stored()
    changed[at] ^= bit
    batch = ReadableRecords(bytes(changed)).next_batch()
    assert batch
    with pytest.raises(Exception, match="checksum is wrong") as refused:
        batch.validate_crc()
    assert refused.value.batch[:2] == (0, 3)  # type: ignore[attr-defined] # a private error


@pytest.mark.parametrize("offsets", [0, 1, 200])
def test_what_a_changed_batch_says_of_its_own_end_is_not_believed(offsets: int) -> None:
    changed = stored()
    changed[_LAST_OFFSET] = offsets
    following = stored()
    following[7] = 3  # begins at offset 3, which no checksum covers
    batch = ReadableRecords(bytes(changed + following)).next_batch()
    assert batch
    with pytest.raises(Exception, match="checksum is wrong") as refused:
        batch.validate_crc()
    assert refused.value.batch[:2] == (0, 3)  # type: ignore[attr-defined] # a private error
