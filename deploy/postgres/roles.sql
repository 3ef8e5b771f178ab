-- What the roles of reelsync may do, in a database of its own. Both exist already; run it as a superuser, before the first
-- `reelsync migrate`:
--
--     psql --set migrate_role=reelsync_migrate --set run_role=reelsync_run --file deploy/postgres/roles.sql
--
-- The first owns the tables. The second reads and writes rows, and can neither make, change, empty nor drop a table.

\set ON_ERROR_STOP on
BEGIN;

SELECT current_database() AS database \gset
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"migrate_role", :"run_role";

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO :"migrate_role";
GRANT USAGE ON SCHEMA public TO :"run_role";

-- Alembic takes up an empty table of this form. Made before the default privileges, it stays out of reach for writing.
SET LOCAL ROLE :"migrate_role";
CREATE TABLE IF NOT EXISTS public.alembic_version (
    version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
);
GRANT SELECT ON public.alembic_version TO :"run_role";
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE ON TABLES TO :"run_role";

COMMIT;
