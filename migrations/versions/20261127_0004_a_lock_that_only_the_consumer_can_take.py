"""A table to lock while dead letters are parked and erased, instead of an advisory lock, which every role can take.

Revision: 20261127_0004
Follows: 20261127_0003

Adds only. A consumer of an earlier release goes on taking the advisory lock, which does not wait for this one: while both
run, a letter that one parks while the other erases its aggregate keeps its payload until a consumer blanks it, within the
hour.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0004"
down_revision = "20261127_0003"
branch_labels = None
depends_on = None
compatible_from = "20260105_0001"


def upgrade() -> None:
    """Make the table. It has no rows, so nothing ever has to be vacuumed, and vacuuming locks too."""
    op.create_table('erasure_lock', sa.Column('unused', sa.Boolean(), nullable=True), if_not_exists=True)


def downgrade() -> None:
    """Drop it."""
    op.drop_table('erasure_lock')
