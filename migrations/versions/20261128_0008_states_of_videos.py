"""A table of the states that events gave to videos. It stays empty unless REELSYNC_BATCH__VIDEO_STATES is set.

Revision: 20261128_0008
Follows: 20261127_0007

Adds only. A consumer of an earlier release neither writes the table nor deletes from it when a video is erased: set
REELSYNC_BATCH__VIDEO_STATES when all are updated.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261128_0008"
down_revision = "20261127_0007"
branch_labels = None
depends_on = None
compatible_from = "20260105_0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        'video_states',
        sa.Column('video_id', sa.Uuid(), nullable=False),
        sa.Column('version', sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column('status', sa.String(20), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('error_code', sa.String(100), nullable=True),
        sa.PrimaryKeyConstraint('video_id', 'version', name='pk_video_states'),
        if_not_exists=True,
    )
    op.create_index('ix_video_states_at', 'video_states', ['at'], postgresql_using='brin', if_not_exists=True)


def downgrade() -> None:
    """Drop it. A rebuild fills it again after the next upgrade."""
    op.drop_table('video_states')
