"""Positions name their topic: a topic that is deleted and created again has the same name and another id.

Revision: 20261127_0003
Follows: 20261125_0002

Adds a column that may be NULL, so earlier releases go on: they neither read nor write it. What they move keeps the id
that it had, so a later release sees that the topic was created again meanwhile. A consumer of this release fills in
what is NULL when it is assigned the partition.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0003"
down_revision = "20261125_0002"
branch_labels = None
depends_on = None
compatible_from = "20260105_0001"


def upgrade() -> None:
    """Add the column."""
    op.add_column('consumer_offsets', sa.Column('topic_id', sa.String(length=22), nullable=True), if_not_exists=True)


def downgrade() -> None:
    """Drop the column. From then on, topics that are created again are recognised only by their records."""
    op.drop_column('consumer_offsets', 'topic_id')
