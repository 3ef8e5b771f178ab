"""What each statement of the consumer means to the simulated server, by the name that it has for metrics.

Written from the statements' SQL and from nothing else of the code that uses them. Erasing people is not simulated.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import orjson

from reelsync.models import User, Video
from reelsync.models.facets import Merge, version_column
from tests.support.scripted import refused_with

from .postgres import Row, Transaction

REFUSED = "refused by the database"
"""The name of a model that a row must not have: the server refuses such a fact, as if a number were out of range."""
_ANCHOR = ("anchor_offset", "anchor_timestamp", "anchor_crc")


class Rows(list[Any]):
    """The rows of an answer, or how many a statement changed."""

    def __init__(self, rows: Iterable[Any] = (), changed: int = 0) -> None:
        super().__init__(rows)
        self.rowcount = changed

    def mappings(self) -> "Rows":
        """The rows by column: they are dictionaries already."""
        return self


Run = Callable[[Transaction, Any], Awaitable[Rows]]


async def _fence(transaction: Transaction, parameters: Any) -> Rows:
    def fits(row: Row | None, span: Row) -> bool:
        return row is not None and (row["next_offset"], row["topic_id"]) == (span["start"], span["topic_id"])

    moved, spans = 0, orjson.loads(parameters["spans"])
    for span in spans:
        key = _place(parameters, span)
        if not fits(transaction.read("consumer_offsets", key), span):
            continue
        await transaction.lock("consumer_offsets", key)
        row = transaction.read("consumer_offsets", key)
        if row is None or not fits(row, span):
            continue
        anchor = {name: span.get(name) if span.get(name) is not None else row[name] for name in _ANCHOR}
        transaction.write("consumer_offsets", key, row | anchor | {"next_offset": span["next"]})
        transaction.fenced[key] = None
        moved += 1
    transaction.server.wasted += moved < len(spans)
    return Rows(changed=moved)


async def _read_positions(transaction: Transaction, parameters: Any) -> Rows:
    asked = orjson.loads(parameters["partitions"])
    found = [transaction.read("consumer_offsets", _place(parameters, place)) for place in asked]
    return Rows(row for row in found if row is not None)


async def _create_positions(transaction: Transaction, parameters: Any) -> Rows:
    for place in orjson.loads(parameters["partitions"]):
        key = _place(parameters, place)
        if transaction.read("consumer_offsets", key) is None:
            await transaction.lock("consumer_offsets", key)
        if transaction.read("consumer_offsets", key) is None:
            row = place | {"cluster_id": parameters["cluster_id"]} | dict.fromkeys(_ANCHOR)
            transaction.write("consumer_offsets", key, row)
    return Rows()


async def _adopt(transaction: Transaction, parameters: Any) -> Rows:
    adopted = []
    for place in orjson.loads(parameters["partitions"]):
        key = _place(parameters, place)
        await transaction.lock("consumer_offsets", key)
        row = transaction.read("consumer_offsets", key)
        held = row and (row["next_offset"], row["topic_id"])
        if row is not None and held == (place["next_offset"], place["held_id"]):
            transaction.write("consumer_offsets", key, row | {"topic_id": place["topic_id"]})
            adopted.append(place)
    return Rows(adopted)


async def _reset(transaction: Transaction, parameters: Any) -> Rows:
    changed = 0
    for place in orjson.loads(parameters["partitions"]):
        key = _place(parameters, place)
        await transaction.lock("consumer_offsets", key)
        row = transaction.read("consumer_offsets", key)
        if row is not None:
            anew = {"cluster_id": parameters["cluster_id"]} | dict.fromkeys(_ANCHOR)
            transaction.write("consumer_offsets", key, row | place | anew)
            changed += 1
    return Rows(changed=changed)


def _place(parameters: Mapping[str, Any], place: Row) -> tuple[str, str, int]:
    return parameters["consumer_group"], place["topic"], place["partition"]


def _known(table: str) -> Run:
    async def run(transaction: Transaction, parameters: Any) -> Rows:
        return Rows(one for one in orjson.loads(parameters["ids"]) if transaction.read(table, one) is not None)

    return run


def _merge(table: str, merge: Merge, owner: str | None) -> Run:
    """INSERT … ON CONFLICT DO UPDATE: in each facet the higher version wins."""

    async def run(transaction: Transaction, parameters: Any) -> Rows:
        sent = orjson.loads(parameters["rows"])
        for row in sent:
            await transaction.lock(table, row["id"])
            held = transaction.read(table, row["id"])
            if held is None:
                transaction.write(table, row["id"], row)
            elif row["version"] > 0:
                transaction.write(table, row["id"], _merged(merge, held, row))
            transaction.attempted.row((table, row["id"]), row["version"])
        if owner:
            _check_references(transaction, sent, owner, "user_id")
        return Rows(changed=len(sent))

    return run


def _merged(merge: Merge, held: Row, sent: Row) -> Row:
    row = dict(held)
    for facet, columns in merge.facets.items():
        version = version_column(facet)
        if sent.get(version, 0) > held.get(version, 0):
            row |= {name: sent.get(name) for name in columns} | {version: sent[version]}
    if sent["version"] > held["version"]:
        row |= {name: sent.get(name) for name in ("version", "updated_at", *merge.with_version)}
    elif sent["version"] == held["version"]:
        row["updated_at"] = max(held["updated_at"], sent["updated_at"])
    if held["version"] == 0:
        row["created_at"] = sent["created_at"]
    else:
        row["created_at"] = min(held["created_at"], sent["created_at"])
    return row


async def _insert_facts(transaction: Transaction, parameters: Any) -> Rows:
    sent = orjson.loads(parameters["rows"])
    for row in sent:
        await transaction.lock("model_usage", row["id"])
        if row["model_name"] == REFUSED:
            raise refused_with("22003")
        if transaction.read("model_usage", row["id"]) is None:
            transaction.write("model_usage", row["id"], row)
        transaction.attempted.facts.add(row["id"])
    _check_references(transaction, sent, "videos", "video_id")
    return Rows(changed=len(sent))


def _check_references(transaction: Transaction, rows: Iterable[Row], table: str, column: str) -> None:
    for row in rows:
        if row.get(column) is not None and transaction.read(table, row[column]) is None:
            raise refused_with("23503")


async def _park(transaction: Transaction, parameters: Any) -> Rows:
    for letter in parameters:
        place = (letter["topic"], letter["partition"], letter["offset"])
        key = (letter["consumer_group"], *place, letter["crc"])
        await transaction.lock("dead_letters", key)
        held = transaction.read("dead_letters", key)
        transaction.write("dead_letters", key, letter | {"attempts": held["attempts"] + 1 if held else 1})
        transaction.attempted.letters.add(place)
    return Rows(changed=len(parameters))


async def _nothing(_transaction: Transaction, _parameters: Any) -> Rows:
    """Nobody is erased, no letter is blanked, and no two live users have one name."""
    return Rows()


async def _home(_transaction: Transaction, _parameters: Any) -> Rows:
    """All members write to one database."""
    return Rows(["simulated"])


STATEMENTS: Mapping[str, Run] = {
    "offsets.home": _home,
    "offsets.fence": _fence,
    "offsets.read": _read_positions,
    "offsets.create": _create_positions,
    "offsets.adopt": _adopt,
    "offsets.reset": _reset,
    "users.known": _known("users"),
    "videos.known": _known("videos"),
    "users.merge": _merge("users", User.__merge__, None),
    "videos.merge": _merge("videos", Video.__merge__, "users"),
    "model_usage.merge": _insert_facts,
    "erasure.known": _nothing,
    "dead_letters.lock": _nothing,
    "dead_letters.park": _park,
    "dead_letters.erase": _nothing,
    "users.names": _nothing,
}
