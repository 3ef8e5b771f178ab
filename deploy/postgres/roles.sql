-- Least privilege for reelsync, in a database of its own: one role that migrates and owns, one that runs and may neither
-- create, alter, drop nor truncate, and optionally one that reads (of dead letters only where they are and why, because
-- they hold payloads).
--
--     psql -f deploy/postgres/roles.sql 'host=… dbname=reelsync user=…'
--     psql -v migrate_role=app_migrate -v run_role=app_run -v read_role=app_read -f deploy/postgres/roles.sql …
--
-- Tables in another schema than public (REELSYNC_DATABASE__SCHEMA): -v schema=…, which is made if it is not there.
--
-- Run it before the first `reelsync migrate`, as a superuser or as the database's owner with CREATEROLE, and again after
-- each: the first time lets migrations and the consumer work, each later one makes the rights on the tables exact (those
-- on a table that is new come from the default privileges below: SELECT, INSERT, UPDATE for the role that runs). It may
-- be run at any time; what it changes, it changes in one transaction. Roles that do not exist are made, without a
-- password: set one with \password, which does not send it in the clear.

\set ON_ERROR_STOP on
\set QUIET on
\if :{?migrate_role} \else \set migrate_role reelsync_migrate \endif
\if :{?run_role} \else \set run_role reelsync_run \endif
\if :{?read_role} \else \set read_role '' \endif
\if :{?schema} \else \set schema public \endif

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog;
SET LOCAL reelsync.migrate_role = :'migrate_role';
SET LOCAL reelsync.run_role = :'run_role';
SET LOCAL reelsync.read_role = :'read_role';
SET LOCAL reelsync.schema = :'schema';

DO $roles$
DECLARE
    migrate_role text := current_setting('reelsync.migrate_role');
    run_role text := current_setting('reelsync.run_role');
    read_role text := current_setting('reelsync.read_role');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[migrate_role, run_role, read_role] LOOP
        IF name <> '' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
    END LOOP;
    FOREACH name IN ARRAY ARRAY[run_role, read_role] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = name
                   AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)) THEN
            RAISE EXCEPTION 'role "%" may do more than SQL grants can limit', name
                USING HINT = 'ALTER ROLE … NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS, or name another.';
        END IF;
        IF name <> '' AND pg_has_role(name, migrate_role, 'MEMBER') THEN
            RAISE EXCEPTION 'role "%" is, or is a member of, "%", which owns the tables', name, migrate_role
                USING HINT = 'The roles must be different, and not members of one another.';
        END IF;
    END LOOP;
    -- A superuser has every role's rights already; another administrator needs them to give away what the role owns.
    IF NOT pg_has_role(current_user, migrate_role, 'USAGE') THEN
        EXECUTE format('GRANT %I TO CURRENT_USER', migrate_role);
    END IF;
END
$roles$;

DO $rights$
DECLARE
    migrate_role text := current_setting('reelsync.migrate_role');
    run_role text := current_setting('reelsync.run_role');
    read_role text := current_setting('reelsync.read_role');
    in_schema text := current_setting('reelsync.schema');
    name text;
    run_rights text;
    is_product boolean;
    shown text;
BEGIN
    IF in_schema <> 'public' THEN
        EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', in_schema, migrate_role);
    END IF;
    -- PUBLIC may connect and make temporary tables by default and, up to PostgreSQL 14, create in the schema: enough to
    -- put an object in front of ours on somebody's search_path.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC, %I', current_database(), run_role);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I, %I', current_database(), migrate_role, run_role);
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC, %I', in_schema, run_role);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', in_schema, migrate_role);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', in_schema, run_role);
    IF read_role <> '' THEN
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', in_schema, read_role);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), read_role);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', in_schema, read_role);
    END IF;

    -- `reelsync rebuild` replays into tables here; empty otherwise, and nobody else's business.
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS reelsync_rebuild AUTHORIZATION %I', migrate_role);

    -- Alembic takes up an empty table of this form. Made before the default privileges, it never gets more than SELECT.
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I.alembic_version ('
                   'version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)', in_schema);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT, INSERT, UPDATE ON TABLES TO %I',
                   migrate_role, in_schema, run_role);

    FOR name, run_rights, is_product IN VALUES
        ('alembic_version', 'SELECT', false),
        ('consumer_offsets', 'SELECT, INSERT, UPDATE', false),
        ('dead_letters', 'SELECT, INSERT, UPDATE', false),
        ('erased_users', 'SELECT, INSERT, UPDATE', false),
        ('erasure_lock', 'SELECT, UPDATE', false),
        ('letter_locks', 'SELECT, INSERT, UPDATE', false),
        ('users', 'SELECT, INSERT, UPDATE, DELETE', true),
        ('user_profiles', 'SELECT, INSERT, UPDATE, DELETE', true),
        ('videos', 'SELECT, INSERT, UPDATE', true),
        ('video_states', 'SELECT, INSERT, UPDATE, DELETE', true),
        ('model_usage', 'SELECT, INSERT, UPDATE (user_id)', true)
    LOOP
        CONTINUE WHEN to_regclass(format('%I.%I', in_schema, name)) IS NULL;
        EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', in_schema, name, migrate_role);
        EXECUTE format('REVOKE ALL ON %I.%I FROM PUBLIC, %I', in_schema, name, run_role);
        EXECUTE format('GRANT %s ON %I.%I TO %I', run_rights, in_schema, name, run_role);
        IF read_role <> '' THEN
            EXECUTE format('REVOKE ALL ON %I.%I FROM %I', in_schema, name, read_role);
            IF is_product THEN
                EXECUTE format('GRANT SELECT ON %I.%I TO %I', in_schema, name, read_role);
            END IF;
            -- What `wait_until_applied` asks for.
            FOR shown IN SELECT quote_ident(attname) FROM pg_attribute
                WHERE attrelid = to_regclass(format('%I.%I', in_schema, name)) AND attname = ANY (CASE name
                    WHEN 'consumer_offsets' THEN
                        ARRAY['consumer_group', 'topic', 'partition', 'next_offset', 'read_from']
                    WHEN 'dead_letters' THEN
                        ARRAY['consumer_group', 'topic', 'partition', 'offset', 'record_timestamp', 'reason', 'state']
                    END)
            LOOP
                EXECUTE format('GRANT SELECT (%s) ON %I.%I TO %I', shown, in_schema, name, read_role);
            END LOOP;
        END IF;
    END LOOP;
END
$rights$;
COMMIT;
