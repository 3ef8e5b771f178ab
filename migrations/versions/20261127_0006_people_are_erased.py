"""People are erased: what remembers it, whose a video was before, and which ids a dead letter names.

Revision: 20261127_0006
Follows: 20261127_0005

Adds, and lets a placeholder be without an owner. A consumer of an earlier release goes on, but makes a dead letter of a
`user.erased`, and writes what comes late of a person who was erased by a later one: erase nobody until all are updated.
Owners that a video had before this revision, and lost, are not known.

The indexes are made beside the running consumers, outside a transaction. If that is interrupted the revision starts
again, so each step may find its work done.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261127_0006"
down_revision = "20261127_0005"
branch_labels = None
depends_on = None
compatible_from = "20260105_0001"

INDEXES = (
    ('ix_videos_former_owners', 'videos', ['former_owners'], 'gin', 'former_owners IS NOT NULL'),
    ('ix_dead_letters_named_ids', 'dead_letters', ['named_ids'], 'gin', 'named_ids IS NOT NULL'),
    ('ix_dead_letters_unread', 'dead_letters', ['consumer_group'], 'btree', 'named_ids IS NULL AND headers IS NOT NULL'),
)
OLD_CHECK = "user_id IS NOT NULL OR version >= 4611686018427387904"
NEW_CHECK = "user_id IS NOT NULL OR version = 0 OR version >= 4611686018427387904"


def upgrade() -> None:
    """Make the table, add the columns, widen the check, then make the indexes."""
    op.create_table(
        'erased_users',
        sa.Column('digest', sa.Uuid(), nullable=False),
        sa.Column('erased_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('erased_by', sa.String(), server_default=sa.text('SESSION_USER'), nullable=False),
        sa.Column('because', sa.String(), nullable=True),
        sa.PrimaryKeyConstraint('digest', name='pk_erased_users'),
        if_not_exists=True,
    )
    for table, name in (('videos', 'former_owners'), ('dead_letters', 'named_ids')):
        op.add_column(table, sa.Column(name, postgresql.ARRAY(sa.Uuid()), nullable=True), if_not_exists=True)
    for name in ('ck_videos_owner_until_erased', 'ck_videos_owner_or_erased'):
        op.execute(f"ALTER TABLE videos DROP CONSTRAINT IF EXISTS {name}")
    op.execute(f"ALTER TABLE videos ADD CONSTRAINT ck_videos_owner_or_erased CHECK ({NEW_CHECK}) NOT VALID")
    with op.get_context().autocommit_block():
        # What waits here lets everybody pass: no limit but that of the statement.
        op.execute("SET lock_timeout = 0")
        op.execute("ALTER TABLE videos VALIDATE CONSTRAINT ck_videos_owner_or_erased")
        for name, table, columns, using, where in INDEXES:
            op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
            op.create_index(name, table, columns, unique=False, postgresql_concurrently=True,
                            postgresql_using=using, postgresql_where=sa.text(where))
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    """Drop all of it. Who was erased is forgotten: erase them again after the next upgrade.

    Placeholders without an owner stay, because facts refer to them, so the old check is not made for rows that are there.
    """
    for name, table, *_ in INDEXES:
        op.drop_index(name, table_name=table, if_exists=True)
    op.execute("ALTER TABLE videos DROP CONSTRAINT ck_videos_owner_or_erased")
    op.execute(f"ALTER TABLE videos ADD CONSTRAINT ck_videos_owner_until_erased CHECK ({OLD_CHECK}) NOT VALID")
    op.drop_column('videos', 'former_owners')
    op.drop_column('dead_letters', 'named_ids')
    op.drop_table('erased_users')
