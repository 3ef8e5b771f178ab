-- What happens once the connectors stream; run in the schema "public" and again in "plain".
INSERT INTO videos (id, user_id, title, description, created_at)
    SELECT '01944b2d-0a00-7b01-9d11-1122334455a2', '01944b2c-3f10-7a01-8c55-5f0a1b2c3d01', 'Tour',
           string_agg(md5(i::text), ''), '2026-01-05 09:59:00Z' FROM generate_series(1, 80) i;
BEGIN;
UPDATE videos SET status = 'processing', started_at = '2026-01-05 10:00:00.5Z', row_version = 2 WHERE title = 'Tour';
UPDATE videos SET progress = 40, row_version = 3 WHERE title = 'Tour';
UPDATE videos SET progress = 80, row_version = 4 WHERE title = 'Tour';
COMMIT;
UPDATE videos
   SET status = 'completed', progress = 100, output_url = 'https://cdn.example.com/tour.mp4', duration_seconds = 93.5,
       processing_time = 41.25, file_size = 48211002, completed_at = '2026-01-05 10:01:00.5', row_version = 5
 WHERE title = 'Tour';
UPDATE users SET is_active = false, deleted_at = '2026-01-05 10:00:00.25', row_version = 2 WHERE username = 'ada';
DELETE FROM users WHERE username = 'ada';
BEGIN;
INSERT INTO users (id, username, email) VALUES
    ('01944b2c-3f10-7a01-8c55-5f0a1b2c3d08', 'eve', 'eve@example.com'),
    ('01944b2c-3f10-7a01-8c55-5f0a1b2c3d09', 'bob', 'bob@example.com');
UPDATE users SET bio = 'x', row_version = 2 WHERE username = 'bob';
DELETE FROM users WHERE username = 'bob';
COMMIT;
UPDATE videos SET id = '01944b2d-0a00-7b01-9d11-1122334455a3', row_version = 2 WHERE title = 'Snapshotted';
DELETE FROM videos WHERE title = 'Tour';
TRUNCATE videos;
