"""The sessions that hold the lock for which a migration waited."""

from sqlalchemy import Connection, Row, text

OTHER_MIGRATION = text("SELECT pg_try_advisory_lock(hashtext('reelsync.migrations'))")
OTHER_MIGRATION_OVER = text("SELECT pg_advisory_unlock(hashtext('reelsync.migrations'))")

_SESSION = """
    SELECT a.pid, a.usename, a.application_name, a.state,
           EXTRACT(epoch FROM clock_timestamp() - a.xact_start)::bigint AS seconds
"""
_ON_TABLES = text(f"""
    {_SESSION}, string_agg(DISTINCT c.relname, ', ') AS held
      FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a USING (pid)
     WHERE l.granted AND l.locktype = 'relation' AND l.pid <> pg_backend_pid() AND a.datname = current_database()
       AND c.relkind IN ('r', 'p') AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
     GROUP BY a.pid, a.usename, a.application_name, a.state, a.xact_start
     ORDER BY a.xact_start LIMIT 5
""")  # noqa: S608 - constants
_OF_OTHER_MIGRATION = text(f"""
    {_SESSION}, NULL AS held
      FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE l.granted AND l.locktype = 'advisory' AND l.objsubid = 1 AND a.datname = current_database()
       AND l.objid = (hashtext('reelsync.migrations')::bigint & 4294967295)::oid
""")


class LockedError(Exception):
    """A migration waited for a lock too long. The message names the tables, who holds the lock, and what to do."""


def tables_are_locked(connection: Connection, seconds: str) -> LockedError:
    """The error for a migration that waited so long for a table."""
    holders = connection.execute(_ON_TABLES).all()
    if not holders:
        return LockedError(f"the migration waited {seconds} for a lock that nobody holds any more: run it again")
    held = "; ".join(f"{holder.held} by {_session(holder)}" for holder in holders)
    return LockedError(
        f"the migration waited {seconds} for tables that other sessions have locked: {held}. {_end(holders[0])}"
    )


def other_migration_goes_on(connection: Connection, seconds: int) -> LockedError:
    """The error for a migration that waited so many seconds for another one."""
    holders = connection.execute(_OF_OTHER_MIGRATION).all()
    if not holders:
        return LockedError(f"the migration waited {seconds} s for another one, which has ended: run it again")
    return LockedError(
        f"another migration has been running for {seconds} s: {_session(holders[0])}. {_end(holders[0])}"
    )


def _session(holder: Row[tuple[object, ...]]) -> str:
    # What another role does is hidden from one without pg_read_all_stats.
    doing = f", {holder.state}" if holder.state else ""
    since = f", for {holder.seconds:,} s" if holder.seconds is not None else ""
    return f"process {holder.pid} ({holder.usename}, {holder.application_name or 'no application name'}{doing}{since})"


def _end(holder: Row[tuple[object, ...]]) -> str:
    return f"Wait for it, or end it with SELECT pg_terminate_backend({holder.pid}), and run `reelsync migrate` again"
