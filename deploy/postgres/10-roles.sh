#!/usr/bin/env bash
# Run once by the image of PostgreSQL, in the new database: the two roles of reelsync, with passwords from the environment.
set -euo pipefail

: "${POSTGRES_MIGRATE_PASSWORD:?the password of the role that migrates}"
: "${POSTGRES_RUN_PASSWORD:?the password of the role that consumes}"

# The passwords go neither to the command line, where others can read them, nor to the server's log if a statement fails.
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
SET log_min_error_statement = panic;
\getenv migrate_password POSTGRES_MIGRATE_PASSWORD
\getenv run_password POSTGRES_RUN_PASSWORD
CREATE ROLE reelsync_migrate LOGIN PASSWORD :'migrate_password';
CREATE ROLE reelsync_run LOGIN PASSWORD :'run_password';
SQL

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set migrate_role=reelsync_migrate --set run_role=reelsync_run --file /etc/reelsync/roles.sql
