-- An upstream service's tables. The schema "plain" has them with PostgreSQL's default REPLICA IDENTITY.
CREATE TABLE users (
    id uuid PRIMARY KEY,
    username varchar(50) NOT NULL,
    email varchar(100) NOT NULL,
    avatar_url text,
    is_active boolean NOT NULL DEFAULT true,
    preferences jsonb NOT NULL DEFAULT '{}',
    last_login_at timestamptz,
    deleted_at timestamp,
    full_name text,
    bio text,
    row_version bigint NOT NULL DEFAULT 1
);
CREATE TABLE videos (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    title text NOT NULL,
    description text,
    status text NOT NULL DEFAULT 'pending',
    progress smallint NOT NULL DEFAULT 0,
    error_code text,
    started_at timestamptz,
    output_url text,
    duration_seconds double precision,
    processing_time numeric(10,3),
    file_size bigint,
    completed_at timestamp(3),
    created_at timestamptz NOT NULL DEFAULT now(),
    row_version bigint NOT NULL DEFAULT 1
);
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    aggregatetype varchar(255) NOT NULL,
    aggregateid varchar(255) NOT NULL,
    type varchar(255) NOT NULL,
    payload jsonb,
    occurred_at timestamptz NOT NULL
);
INSERT INTO users (id, username, email, preferences, last_login_at) VALUES
    ('01944b2c-3f10-7a01-8c55-5f0a1b2c3d01', 'ada', 'ada@example.com', '{"theme": "dark"}', '2026-01-05 10:00:00.123456+01');
INSERT INTO videos (id, user_id, title, created_at) VALUES
    ('01944b2d-0a00-7b01-9d11-1122334455a1', '01944b2c-3f10-7a01-8c55-5f0a1b2c3d01', 'Snapshotted', '2026-01-02 03:04:05Z');

CREATE SCHEMA plain;
CREATE TABLE plain.users (LIKE public.users INCLUDING ALL);
CREATE TABLE plain.videos (LIKE public.videos INCLUDING ALL);
INSERT INTO plain.users SELECT * FROM public.users;
INSERT INTO plain.videos SELECT * FROM public.videos;
ALTER TABLE public.users REPLICA IDENTITY FULL;
ALTER TABLE public.videos REPLICA IDENTITY FULL;
