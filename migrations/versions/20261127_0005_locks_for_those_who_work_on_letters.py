"""A table whose rows are locked by those who work on dead letters, instead of advisory locks, which every role can take.

Revision: 20261127_0005
Follows: 20261127_0004

Adds only. A consumer of an earlier release goes on taking the advisory locks. While both run, two may redrive or relay at
once: letters are closed only if they are as they were read, and the relay sends at least once.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0005"
down_revision = "20261127_0004"
branch_labels = None
depends_on = None
compatible_from = "20260105_0001"


def upgrade() -> None:
    """Make the table. Whoever works for a group for the first time adds the row."""
    op.create_table(
        'letter_locks',
        sa.Column('consumer_group', sa.String(length=255), nullable=False),
        sa.Column('work', sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint('consumer_group', 'work', name='pk_letter_locks'),
        if_not_exists=True,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table('letter_locks')
