"""Tables of the first release.

Revision: 20260105_0001
Follows: nothing
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20260105_0001"
down_revision = None
branch_labels = None
depends_on = None
compatible_from = "20260105_0001"


def upgrade() -> None:
    """Create every table, referred-to tables first."""
    _create_consumer_offsets()
    _create_dead_letters()
    _create_users()
    _create_user_profiles()
    _create_videos()
    _index_videos()
    _create_model_usage()


def downgrade() -> None:
    """Drop every table."""
    for table in ("model_usage", "videos", "user_profiles", "users", "dead_letters", "consumer_offsets"):
        op.drop_table(table)


def _create_consumer_offsets() -> None:
    op.create_table('consumer_offsets',
    sa.Column('consumer_group', sa.String(length=255), nullable=False),
    sa.Column('topic', sa.String(length=249), nullable=False),
    sa.Column('partition', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('next_offset', sa.BigInteger(), nullable=False),
    sa.Column('cluster_id', sa.String(length=255), nullable=True),
    sa.Column('anchor_offset', sa.BigInteger(), nullable=True),
    sa.Column('anchor_timestamp', sa.BigInteger(), nullable=True),
    sa.Column('anchor_crc', sa.BigInteger(), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('next_offset >= 0', name=op.f('ck_consumer_offsets_next_offset')),
    sa.PrimaryKeyConstraint('consumer_group', 'topic', 'partition', name=op.f('pk_consumer_offsets')),
    postgresql_with={'fillfactor': 50}
    )


def _create_dead_letters() -> None:
    op.create_table('dead_letters',
    sa.Column('consumer_group', sa.String(length=255), nullable=False),
    sa.Column('topic', sa.String(length=249), nullable=False),
    sa.Column('partition', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('offset', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('record_timestamp', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('crc', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('key', sa.LargeBinary(), nullable=True),
    sa.Column('value', sa.LargeBinary(), nullable=True),
    sa.Column('headers', postgresql.ARRAY(sa.LargeBinary(), dimensions=2), nullable=True),
    sa.Column('stage', sa.String(length=20), nullable=False),
    sa.Column('reason', sa.String(length=40), nullable=False),
    sa.Column('detail', postgresql.JSONB(), server_default='{}', nullable=False),
    sa.Column('event_id', sa.String(), nullable=True),
    sa.Column('event_type', sa.String(), nullable=True),
    sa.Column('aggregate_id', sa.Uuid(), nullable=True),
    sa.Column('attempts', sa.Integer(), server_default='1', nullable=False),
    sa.Column('state', sa.String(length=20), server_default='parked', nullable=False),
    sa.Column('first_seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_attempt_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("stage IN ('decode', 'validate', 'write')", name=op.f('ck_dead_letters_stage')),
    sa.CheckConstraint("state IN ('parked', 'redriven', 'discarded')", name=op.f('ck_dead_letters_state')),
    sa.PrimaryKeyConstraint('consumer_group', 'topic', 'partition', 'offset', 'record_timestamp', 'crc', name=op.f('pk_dead_letters'))
    )
    op.create_index('ix_dead_letters_aggregate_id', 'dead_letters', ['aggregate_id'], unique=False)
    op.create_index('ix_dead_letters_parked', 'dead_letters', ['consumer_group', 'reason'], unique=False, postgresql_where=sa.text("state = 'parked'"))


def _create_users() -> None:
    op.create_table('users',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('username', sa.String(length=50), nullable=True),
    sa.Column('email', sa.String(length=100), nullable=True),
    sa.Column('avatar_url', sa.String(length=500), nullable=True),
    sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('preferences', postgresql.JSONB(), server_default='{}', nullable=False),
    sa.Column('last_login_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('account_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('activation_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('preferences_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('login_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('deletion_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('is_deleted', sa.Boolean(), sa.Computed('deleted_at IS NOT NULL', persisted=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    postgresql.ExcludeConstraint((sa.column('email'), '='), where=sa.text('deleted_at IS NULL'), deferrable=True, initially='IMMEDIATE', using='btree', name='uq_users_email'),
    postgresql.ExcludeConstraint((sa.column('username'), '='), where=sa.text('deleted_at IS NULL'), deferrable=True, initially='IMMEDIATE', using='btree', name='uq_users_username'),
    sa.CheckConstraint("username ~ '^[a-zA-Z0-9_]{3,50}$'", name=op.f('ck_users_username_format')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users')),
    postgresql_with={'fillfactor': 75}
    )
    op.create_index('ix_users_created_at', 'users', ['created_at'], unique=False, postgresql_using='brin')
    op.create_index('ix_users_updated_at', 'users', ['updated_at'], unique=False, postgresql_using='brin')


def _create_user_profiles() -> None:
    op.create_table('user_profiles',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('full_name', sa.String(length=200), nullable=True),
    sa.Column('company', sa.String(length=200), nullable=True),
    sa.Column('locale', sa.String(length=35), nullable=True),
    sa.Column('timezone', sa.String(length=64), nullable=True),
    sa.Column('bio', sa.String(length=5000), nullable=True),
    sa.Column('profile_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_user_profiles_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_user_profiles'))
    )


def _create_videos() -> None:
    op.create_table('videos',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=True),
    sa.Column('title', sa.String(length=200), nullable=True),
    sa.Column('description', sa.String(length=5000), nullable=True),
    sa.Column('avatar_id', sa.String(length=100), nullable=True),
    sa.Column('voice_id', sa.String(length=100), nullable=True),
    sa.Column('language', sa.String(length=35), nullable=True),
    sa.Column('resolution', sa.String(length=20), nullable=True),
    sa.Column('status', sa.String(length=20), nullable=True),
    sa.Column('progress', sa.SmallInteger(), nullable=True),
    sa.Column('error_code', sa.String(length=100), nullable=True),
    sa.Column('error_message', sa.String(length=2000), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('output_url', sa.String(length=2000), nullable=True),
    sa.Column('thumbnail_url', sa.String(length=2000), nullable=True),
    sa.Column('duration_seconds', sa.Double(), nullable=True),
    sa.Column('processing_time', sa.Double(), nullable=True),
    sa.Column('file_size', sa.BigInteger(), nullable=True),
    sa.Column('completed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('details_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('state_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('start_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('output_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('deletion_version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('version', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('is_deleted', sa.Boolean(), sa.Computed('deleted_at IS NOT NULL', persisted=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("status IN ('pending', 'processing', 'completed', 'failed')", name=op.f('ck_videos_status')),
    sa.CheckConstraint('progress BETWEEN 0 AND 100', name=op.f('ck_videos_progress')),
    sa.CheckConstraint('user_id IS NOT NULL OR version >= 4611686018427387904', name=op.f('ck_videos_owner_until_erased')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_videos_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_videos')),
    postgresql_with={'fillfactor': 75}
    )


def _index_videos() -> None:
    op.create_index('ix_videos_created_at', 'videos', ['created_at'], unique=False, postgresql_using='brin')
    op.create_index('ix_videos_unfinished', 'videos', ['status'], unique=False, postgresql_where=sa.text("status IN ('pending', 'processing')"))
    op.create_index('ix_videos_updated_at', 'videos', ['updated_at'], unique=False, postgresql_using='brin')
    op.create_index('ix_videos_user_id_created_at', 'videos', ['user_id', sa.literal_column('created_at DESC')], unique=False)


def _create_model_usage() -> None:
    op.create_table('model_usage',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('video_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('model_name', sa.String(length=100), nullable=False),
    sa.Column('model_type', sa.String(length=100), nullable=True),
    sa.Column('input_units', sa.BigInteger(), nullable=True),
    sa.Column('output_units', sa.BigInteger(), nullable=True),
    sa.Column('duration_seconds', sa.Double(), nullable=True),
    sa.Column('cost_usd', sa.Numeric(precision=12, scale=6), nullable=True),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['video_id'], ['videos.id'], name=op.f('fk_model_usage_video_id_videos'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_model_usage'))
    )
    op.create_index('ix_model_usage_used_at', 'model_usage', ['used_at'], unique=False, postgresql_using='brin')
    op.create_index('ix_model_usage_user_id', 'model_usage', ['user_id'], unique=False)
    op.create_index('ix_model_usage_video_id', 'model_usage', ['video_id'], unique=False)
