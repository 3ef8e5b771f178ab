-- What the upstream service puts into its outbox table; the rows may go at once, for the router reads the log.
INSERT INTO outbox VALUES
    ('11111111-1111-4111-8111-111111111111', 'video', '01944b2d-0a00-7b01-9d11-1122334455a2', 'video.progressed',
     '{"video_id": "01944b2d-0a00-7b01-9d11-1122334455a2", "user_id": "01944b2c-3f10-7a01-8c55-5f0a1b2c3d01", "version": 3, "progress": 40}',
     '2026-01-05 10:00:00.25Z'),
    ('22222222-2222-4222-8222-222222222222', 'user', '01944b2c-3f10-7a01-8c55-5f0a1b2c3d01', 'user.preferences_changed',
     '{"user_id": "01944b2c-3f10-7a01-8c55-5f0a1b2c3d01", "version": 3, "preferences": {"theme": "light", "ratio": 1.50}}',
     '2026-01-05 10:00:00.5Z'),
    ('33333333-3333-4333-8333-333333333333', 'user', '01944b2c-3f10-7a01-8c55-5f0a1b2c3d02', 'user.erased', NULL,
     '2026-01-05 10:00:01Z');
DELETE FROM outbox;
