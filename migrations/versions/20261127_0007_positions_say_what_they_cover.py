"""Positions say from where on every record was read: a start at the end, or a reset, leaves records out for ever.

Revision: 20261127_0007
Follows: 20261127_0006

Adds a column that may be NULL, so earlier releases go on: they neither read nor write it. Positions that exist begin to
cover with their next record. A consumer of this release fills in what is NULL with its first batch. After a reset by the
command of an earlier release the column says too much, so reset with this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0007"
down_revision = "20261127_0006"
branch_labels = None
depends_on = None
compatible_from = "20260105_0001"


def upgrade() -> None:
    """Add the column."""
    op.add_column('consumer_offsets', sa.Column('read_from', sa.BigInteger(), nullable=True), if_not_exists=True)
    op.execute("UPDATE consumer_offsets SET read_from = next_offset WHERE read_from IS NULL")


def downgrade() -> None:
    """Drop it."""
    op.drop_column('consumer_offsets', 'read_from')
