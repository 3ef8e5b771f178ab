"""Dead letters are worked on: corrections, an audit, the relay's mark, and indexes for lists of a million.

Revision: 20261125_0002
Follows: 20260105_0001

Adds only, so the first release goes on: it neither reads nor writes the new columns. An erasure by one of its
consumers leaves a correction in place; a consumer of this release blanks it within the hour.

The indexes are made beside the running consumers, outside a transaction. If that is interrupted the revision starts
again, so each step may find its work done.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261125_0002"
down_revision = "20260105_0001"
branch_labels = None
depends_on = None
compatible_from = "20260105_0001"

INDEXES = (
    ('ix_dead_letters_latest', ['consumer_group', 'last_attempt_at'], None),
    ('ix_dead_letters_closed', ['consumer_group', 'last_attempt_at'], "state <> 'parked' AND headers IS NOT NULL"),
    ('ix_dead_letters_corrected', ['corrected_aggregate_id'], 'corrected_aggregate_id IS NOT NULL'),
    ('ix_dead_letters_unrelayed', ['consumer_group', 'topic', 'partition', 'offset'], "state = 'parked' AND relayed_at IS NULL"),
)


def upgrade() -> None:
    """Add the columns, then the indexes."""
    for column in _columns():
        op.add_column('dead_letters', column, if_not_exists=True)
    with op.get_context().autocommit_block():
        # This waits without blocking anybody, so the statement's limit is enough.
        op.execute("SET lock_timeout = 0")
        for name, columns, where in INDEXES:
            op.drop_index(name, table_name='dead_letters', if_exists=True, postgresql_concurrently=True)
            op.create_index(name, 'dead_letters', columns, unique=False, postgresql_concurrently=True,
                            postgresql_where=None if where is None else sa.text(where))
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    """Drop both. Corrections and the audit are lost."""
    for name, _, _ in INDEXES:
        op.drop_index(name, table_name='dead_letters', if_exists=True)
    for column in _columns():
        op.drop_column('dead_letters', column.name)


def _columns() -> list[sa.Column]:
    return [
        sa.Column('corrected_key', sa.LargeBinary(), nullable=True),
        sa.Column('corrected_value', sa.LargeBinary(), nullable=True),
        sa.Column('corrected_headers', postgresql.ARRAY(sa.LargeBinary(), dimensions=2), nullable=True),
        sa.Column('corrected_aggregate_id', sa.Uuid(), nullable=True),
        sa.Column('redrives', sa.Integer(), server_default='0', nullable=False),
        sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('relayed_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('audit', postgresql.JSONB(), server_default='[]', nullable=False),
    ]
