"""An upstream service's tables, their random history as Debezium publishes it, and what reelsync must hold at its end.

What is expected is read off the tables as they are at the end, without any order of versions: no fold, no merge.
"""

import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from reelsync.testing.expected_tables import ERASED, Tables
from tests.support.builders import an_id, record
from tests.support.row_changes import CAPTURED_AT, USERS, VIDEOS, envelope, key_of, user_row, video_row

Row = dict[str, Any]
Table = Literal["users", "videos"]

_TOPICS: dict[Table, str] = {"users": USERS, "videos": VIDEOS}
_ACCOUNT = ("username", "email", "avatar_url")
_PROFILE = ("full_name", "company", "locale", "timezone", "bio")
_DETAILS = ("title", "description", "avatar_id", "voice_id", "language", "resolution")
_STATE = ("status", "progress", "error_code", "error_message", "failed_at")
_OUTPUT = ("output_url", "thumbnail_url", "duration_seconds", "processing_time", "file_size")
_TIMES = {"last_login_at", "started_at", "completed_at", "failed_at", "deleted_at"}


def time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


class UpstreamTables:
    """Tables of users and videos. `records` are all that Debezium has published of them.

    The version is in the column `revision`, or the log position is it. Some of the columns are missing, by chance.
    """

    def __init__(self, seed: int, *, version: str, deletes: str) -> None:
        self.rng = random.Random(seed)
        self.records: list[Any] = []
        self._version = version
        self._erases = deletes == "erase"
        self._lsn = 1_000
        self._at = CAPTURED_AT
        self._revisions: dict[str, int] = defaultdict(int)
        self._missing = self._columns_left_out() | ({"deleted_at"} if seed % 2 else set())
        self._rows: dict[Table, dict[str, Row]] = {"users": {}, "videos": {}}
        self._removed: dict[Table, dict[str, Row]] = {"users": {}, "videos": {}}
        self._said: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """Version and time of everything said of a row."""
        self._begun: dict[str, datetime] = {}
        self._owners: set[str] = set()

    def next_revision(self, row_id: str) -> int:
        """The next version of an aggregate, also for who speaks of it elsewhere."""
        self._revisions[row_id] += 1
        return self._revisions[row_id]

    def happen(self, changes: int, users: int = 5, videos: int = 9) -> None:
        """So many changes: inserts, updates (some of one row in one transaction), removals, and a snapshot or two."""
        for _ in range(changes):
            self._at += self.rng.choice((0, 1, 1_000))
            table: Table = "users" if self.rng.random() < 0.35 else "videos"
            number = self.rng.randrange(users if table == "users" else videos)
            row_id = an_id(1000 + number) if table == "users" else an_id(number)
            if row_id not in self._rows[table]:
                self._insert(table, number, row_id)
            elif self.rng.random() < 0.15:
                self._remove(table, row_id)
            else:
                for _ in range(self.rng.choice((1, 1, 3))):
                    self._update(table, row_id)
            if self.rng.random() < 0.03:
                self._snapshot()

    def expected(self) -> Tables:
        """What PostgreSQL must hold: the rows that are there, and those that were, put away or erased."""
        tables: Tables = {"users": {}, "user_profiles": {}, "videos": {}, "model_usage": {}}
        tables["users"] = {owner: {"version": 0} for owner in self._owners}
        for table, rows in self._rows.items():
            for row_id, row in (self._removed[table] | rows).items():
                times = self._times(row_id)
                if self._erases and row_id in self._removed[table]:
                    tables["user_profiles"] |= {row_id: dict.fromkeys(_PROFILE)} if table == "users" else {}
                    tables[table][row_id] = times | {"title" if table == "videos" else "username": None}
                    continue
                profile = {name: row[name] for name in _PROFILE if name in row}
                if table == "users" and profile:
                    tables["user_profiles"][row_id] = profile
                tables[table][row_id] = times | self._columns(table, row_id, row)
        return tables

    def _columns(self, table: Table, row_id: str, row: Row) -> Row:
        names = (*_ACCOUNT, "is_active", "last_login_at") if table == "users" else (*_DETAILS, *_STATE, "started_at")
        names += () if table == "users" else (*_OUTPUT, "completed_at", "user_id")
        unset: Row = dict.fromkeys(names) | ({"is_active": True} if table == "users" else {})
        columns = unset | {name: self._read(name, row[name]) for name in names if name in row}
        if table == "users":
            columns["preferences"] = json.loads(row["preferences"]) if "preferences" in row else {}
        deleted_at = (
            time_of(row["removed_at"]) if "removed_at" in row else self._read("deleted_at", row.get("deleted_at"))
        )
        return columns | {"id": UUID(row_id), "deleted_at": deleted_at, "is_deleted": deleted_at is not None}

    def _read(self, name: str, value: Any) -> Any:
        if name == "user_id":
            return UUID(value)
        return datetime.fromisoformat(value) if name in _TIMES and value is not None else value

    def _times(self, row_id: str) -> Row:
        highest = max(version for version, _ in self._said[row_id])
        first = min(time_of(at) for _, at in self._said[row_id])
        return {
            "version": highest,
            "created_at": min(first, self._begun.get(row_id, first)),
            "updated_at": time_of(max(at for version, at in self._said[row_id] if version == highest)),
        }

    def _columns_left_out(self) -> set[str]:
        groups = (
            _PROFILE,
            (*_OUTPUT, "completed_at"),
            ("is_active",),
            ("preferences",),
            ("last_login_at",),
            ("started_at",),
            ("failed_at",),
        )
        return {name for group in (*groups, ("created_at",)) if self.rng.random() < 0.4 for name in group}

    def _insert(self, table: Table, number: int, row_id: str) -> None:
        if table == "users":
            row = user_row(number) | dict.fromkeys(_PROFILE)
        else:
            row = video_row(number, owner=self.rng.randrange(7))
        row |= {"deleted_at": None, "created_at": time_of(self._at - self.rng.randrange(10**9)).isoformat()}
        self._rows[table][row_id] = {name: value for name, value in row.items() if name not in self._missing}
        self._change("c", table, row_id)

    def _update(self, table: Table, row_id: str) -> None:
        row, rng = self._rows[table][row_id], self.rng
        now = time_of(self._at - rng.randrange(1000)).isoformat()
        new = {
            "title": f"t{rng.randrange(99)}",
            "user_id": an_id(1000 + rng.randrange(7)),
            "status": rng.choice(("processing", "completed", "failed")),
            "progress": rng.randrange(101),
            "started_at": now,
            "failed_at": rng.choice((None, now)),
            "output_url": rng.choice((None, "https://cdn.example.com/x.mp4")),
            "file_size": rng.randrange(10**9),
            "username": f"{row_id[-4:]}_{self._lsn}",
            "email": f"{row_id[-4:]}_{self._lsn}@example.com",
            "is_active": rng.random() < 0.5,
            "preferences": json.dumps({"volume": rng.randrange(11)}),
            "bio": rng.choice((None, "x")),
            "deleted_at": rng.choice((None, now)),
        }
        for name in rng.sample([name for name in new if name in row], k=2):
            row[name] = new[name]
        self._change("u", table, row_id)

    def _change(self, op: str, table: Table, row_id: str) -> None:
        row = self._rows[table][row_id]
        if op != "r":
            row["revision"] = self.next_revision(row_id)
        self._publish(op, table, row_id, row, row["revision"])
        if "created_at" in row:
            created = datetime.fromisoformat(row["created_at"])
            self._begun[row_id] = min(created, self._begun.get(row_id, created))

    def _remove(self, table: Table, row_id: str) -> None:
        row = self._rows[table].pop(row_id)
        self._publish("d", table, row_id, row, self.next_revision(row_id))
        later = self._at + self.rng.randrange(500)
        self.records.append(record(None, topic=_TOPICS[table], key=key_of(row_id), timestamp=later))
        self._removed[table][row_id] = row | {"removed_at": self._at}
        if self._erases:
            self._said[row_id] += [(ERASED + self._at, self._at), (ERASED + later, later)]

    def _publish(self, op: str, table: Table, row_id: str, row: Row, revision: int) -> None:
        self._lsn += self.rng.randrange(1, 100)
        value = envelope(op, row, lsn=self._lsn, at_ms=self._at)
        self.records.append(record(value, topic=_TOPICS[table], key=key_of(row_id)))
        if op == "d" and self._erases:
            return
        self._said[row_id].append((revision if self._version == "revision" else self._lsn, self._at))
        if table == "videos" and op != "d":
            self._owners.add(row["user_id"])

    def _snapshot(self) -> None:
        for table, rows in self._rows.items():
            for row_id in rows:
                self._change("r", table, row_id)
