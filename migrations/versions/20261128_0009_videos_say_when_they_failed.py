"""Videos say when they failed, and an index finds a user's failures of a day.

Revision: 20261128_0009
Follows: 20261128_0008

Adds a column of the facet `state`, and a partial index that is empty at first. Consumers of earlier releases go on: they
do not write it, so a failure that they apply has no time, and a video that they take out of its failure keeps the old
one. Rows that are there are not changed either. After the last consumer is updated, `reelsync rebuild` fills in all of it
from the log; until then `reelsync verify` names those videos.

The index is made beside the running consumers, outside a transaction. If that is interrupted the revision starts again,
so each step may find its work done.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261128_0009"
down_revision = "20261128_0008"
branch_labels = None
depends_on = None
compatible_from = "20260105_0001"

INDEX = 'ix_videos_failed'


def upgrade() -> None:
    """Add the column, then make the index."""
    op.add_column('videos', sa.Column('failed_at', sa.DateTime(timezone=True), nullable=True), if_not_exists=True)
    with op.get_context().autocommit_block():
        # What waits here lets everybody pass: no limit but that of the statement.
        op.execute("SET lock_timeout = 0")
        op.drop_index(INDEX, table_name='videos', if_exists=True, postgresql_concurrently=True)
        op.create_index(INDEX, 'videos', ['user_id', 'failed_at'], unique=False, postgresql_concurrently=True,
                        postgresql_where=sa.text('failed_at IS NOT NULL'))
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    """Drop both."""
    op.drop_index(INDEX, table_name='videos', if_exists=True)
    op.drop_column('videos', 'failed_at')
