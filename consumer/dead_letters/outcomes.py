"""The outcomes of attempted letters, recorded in the transaction that writes their rows.

Letters are closed last, and only if they were not changed since they were read. So a correction that was stored
meanwhile is not lost, and a letter that was discarded meanwhile is not applied.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.sink.erasure import Erased
from reelsync.consumer.sink.parking import blank_erased, forget_people, lock
from reelsync.consumer.transform.decode import Decode, Located, Rejection
from reelsync.events import aggregate_id
from reelsync.models.upsert import JsonText

from .table import KEY_NAMES, KEY_TYPES, Letter


def _close_statement(waiting: str) -> Any:
    return text(
        f"""
        WITH r AS MATERIALIZED (
          SELECT * FROM json_to_recordset(:rows) AS r(
            n int, {KEY_TYPES}, row_version text, applied boolean, stage text, reason text, detail jsonb,
            event_id text, event_type text, aggregate_id uuid)),
        held AS MATERIALIZED (
          SELECT r.* FROM dead_letters d JOIN r USING (topic, partition, "offset", record_timestamp, crc)
           WHERE d.consumer_group = :consumer_group AND d.state = 'parked' AND CAST(d.xmin AS text) = r.row_version
           ORDER BY r.n
             FOR NO KEY UPDATE OF d {waiting})
        UPDATE dead_letters d
           SET state = CASE WHEN h.applied THEN 'redriven' ELSE 'parked' END,
               closed_at = CASE WHEN h.applied THEN now() END,
               stage = COALESCE(h.stage, d.stage),
               reason = COALESCE(h.reason, d.reason),
               detail = COALESCE(h.detail, d.detail),
               event_id = COALESCE(h.event_id, d.event_id),
               event_type = COALESCE(h.event_type, d.event_type),
               aggregate_id = COALESCE(d.aggregate_id, h.aggregate_id),
               redrives = CASE WHEN h.applied THEN 0 ELSE d.redrives + CAST(:counted AS int) END,
               attempts = d.attempts + 1, last_attempt_at = now()
          FROM held h
         WHERE d.consumer_group = :consumer_group
           AND (d.topic, d.partition, d."offset", d.record_timestamp, d.crc)
             = (h.topic, h.partition, h."offset", h.record_timestamp, h.crc)
        """
    ).bindparams(bindparam("rows", type_=JsonText()))


_NOBODY = Erased()
_CLOSE = _close_statement("")
_CLOSE_OR_PASS = _close_statement("SKIP LOCKED")


class ChangedError(Exception):
    """A letter was changed by somebody else while it was being redriven."""


class Outcome(NamedTuple):
    """The outcome of one letter: applied, with its event unless the letter is blank; or the reason why not."""

    letter: Letter
    verdict: Located | Rejection | None

    @property
    def is_applied(self) -> bool:
        """Whether the letter can be closed. The content of a blank letter is erased, above every version."""
        return not isinstance(self.verdict, Rejection)


def verdict_on(letter: Letter, decode: Decode) -> Outcome:
    """The verdict on a letter's record today."""
    if letter.is_blank:
        return Outcome(letter, None)
    event = decode(letter.record)
    return Outcome(letter, event if isinstance(event, Rejection) else Located(letter.record, event))


async def close(
    connection: AsyncConnection,
    group: str,
    outcomes: Sequence[Outcome],
    erased: Erased = _NOBODY,
    *,
    by_operator: bool = True,
) -> None:
    """Count the attempts, and close the letters that were applied. `outcomes` are in the order of their keys.

    Letters of those who were `erased` by it are blanked after that, because they must be as they were read until then.

    A consumer does not wait for locks here, because it holds rows that others need; and its attempts do not count
    towards the limit of redrives.

    Raises:
        ChangedError: a letter was changed since it was read, or (not `by_operator`) is being changed.
    """
    rows = [_row(number, outcome) for number, outcome in enumerate(outcomes)]
    await lock(connection, alone=bool(erased.aggregates))
    parameters = {"consumer_group": group, "rows": orjson.dumps(rows).decode(), "counted": int(by_operator)}
    statement, name = (_CLOSE, "dead_letters.close") if by_operator else (_CLOSE_OR_PASS, "redrive.close")
    closed = await connection.execute(statement, parameters, execution_options={"query_name": name})
    if closed.rowcount != len(rows):
        raise ChangedError
    ids = {UUID(row["aggregate_id"]) for row in rows if row["aggregate_id"]}
    await forget_people(connection, erased.people)
    await blank_erased(connection, ids | set(map(UUID, erased.aggregates)))


def _row(number: int, outcome: Outcome) -> dict[str, Any]:
    letter, verdict = outcome
    row: dict[str, Any] = dict(zip(KEY_NAMES, letter.key, strict=True))
    row |= {"n": number, "row_version": letter.row["row_version"], "applied": outcome.is_applied, "aggregate_id": None}
    if isinstance(verdict, Rejection):
        row |= {"stage": verdict.stage, "reason": verdict.reason, "detail": verdict.detail}
        row |= {"event_id": verdict.event_id, "event_type": verdict.event_type}
        row["aggregate_id"] = verdict.aggregate_id and str(verdict.aggregate_id)
    elif verdict is not None:
        event = verdict.event
        row |= {"event_id": event["id"], "event_type": event["type"], "aggregate_id": aggregate_id(event)}
    return row
