"""The closed set of statements: every name that the label `query_name` can have, declared here and in `models`.

A statement without a name, or with a name that is not declared, is `other`. A test fails if a statement of reelsync is.
"""

from reelsync.models.query_names import MODEL_QUERIES, Query

OTHER = "other"

DRIVER_QUERIES: dict[str, Query] = {
    "connect": Query("CONNECT"),
    "pool.wait": Query("WAIT"),
    "commit": Query("COMMIT"),
    "rollback": Query("ROLLBACK"),
    "savepoint": Query("SAVEPOINT"),
    "savepoint.release": Query("RELEASE"),
    "savepoint.rollback": Query("ROLLBACK TO"),
}
"""What every engine does: wait for a connection of the pool, open one, end transactions."""

_CONSUMER_QUERIES: dict[str, Query] = {
    "offsets.fence": Query("UPDATE", "consumer_offsets"),
    "offsets.read": Query("SELECT", "consumer_offsets"),
    "offsets.create": Query("INSERT", "consumer_offsets"),
    "offsets.adopt": Query("UPDATE", "consumer_offsets"),
    "offsets.reset": Query("UPDATE", "consumer_offsets"),
    "offsets.list": Query("SELECT", "consumer_offsets"),
    "offsets.home": Query("SELECT"),
    "rehearsal.lock": Query("LOCK", "consumer_offsets"),
    "users.known": Query("SELECT", "users"),
    "users.names": Query("SELECT", "users"),
    "videos.known": Query("SELECT", "videos"),
    "dead_letters.lock": Query("LOCK", "erasure_lock"),
    "dead_letters.park": Query("INSERT", "dead_letters"),
    "dead_letters.erase": Query("UPDATE", "dead_letters"),
    "dead_letters.forget": Query("UPDATE", "dead_letters"),
    "erasure.count": Query("SELECT"),
    "erasure.known": Query("SELECT", "erased_users"),
    "erasure.lock": Query("LOCK", "erased_users"),
    "erasure.remember": Query("INSERT", "erased_users"),
    "erasure.videos": Query("UPDATE", "videos"),
    "erasure.states": Query("DELETE", "video_states"),
    "erasure.facts": Query("UPDATE", "model_usage"),
    "erasure.profiles": Query("DELETE", "user_profiles"),
    "erasure.users": Query("DELETE", "users"),
    "dead_letters.turn": Query("SELECT", "letter_locks"),
    "dead_letters.count": Query("SELECT", "dead_letters"),
    "dead_letters.list": Query("SELECT", "dead_letters"),
    "dead_letters.show": Query("SELECT", "dead_letters"),
    "dead_letters.next": Query("SELECT", "dead_letters"),
    "dead_letters.close": Query("UPDATE", "dead_letters"),
    "dead_letters.correct": Query("UPDATE", "dead_letters"),
    "dead_letters.expire": Query("UPDATE", "dead_letters"),
    "dead_letters.purge": Query("DELETE", "dead_letters"),
    "dead_letters.relay_turn": Query("SELECT", "letter_locks"),
    "dead_letters.relayed": Query("UPDATE", "dead_letters"),
    "redrive.lock": Query("SELECT", "letter_locks"),
    "redrive.parked": Query("SELECT", "dead_letters"),
    "redrive.names": Query("SELECT", "users"),
    "redrive.lock_users": Query("SELECT", "users"),
    "redrive.release_names": Query("UPDATE", "users"),
    "redrive.close": Query("UPDATE", "dead_letters"),
    "pooler.find": Query("SELECT"),
    "database.state": Query("SELECT"),
    "schema.read": Query("SELECT", "alembic_version"),
    "report": Query("SELECT"),
    "trace.letters": Query("SELECT", "dead_letters"),
    "trace.rows": Query("SELECT"),
    "verify": Query("SELECT"),
    "verify.letters": Query("SELECT", "dead_letters"),
    "rebuild.lock": Query("SELECT"),
    "rebuild.shadow": Query("DDL"),
    "rebuild.erase": Query("SELECT"),
    "rebuild.compare": Query("SELECT"),
    "rebuild.hold": Query("SELECT", "consumer_offsets"),
    "rebuild.replace": Query("MERGE"),
    "rebuild.letters": Query("INSERT", "dead_letters"),
}

QUERIES: dict[str, Query] = {**MODEL_QUERIES, **DRIVER_QUERIES, **_CONSUMER_QUERIES, OTHER: Query("")}
