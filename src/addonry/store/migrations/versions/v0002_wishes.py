"""Wishes, pauses and cancels; user edits and canaries; the register of workers.

The statements of the release before work on this schema: what they do not name has a default. It cannot read a task that
is paused or canceled, so pause and cancel only once every process is new; the wider index keeps it from beginning
another task on a paused component.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LIVE = sa.text("status IN ('paused', 'queued', 'running')")


def upgrade() -> None:
    op.add_column("addonry_task", sa.Column("wish", sa.String(16)))
    op.add_column("addonry_task", sa.Column("canceled", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("addonry_change", sa.Column("edits", sa.String(16), nullable=False, server_default="overwrite"))
    op.add_column("addonry_change", sa.Column("pace", sa.String(16), nullable=False, server_default="at-once"))
    op.add_column("addonry_change", sa.Column("remarks", sa.Text, nullable=False, server_default="[]"))
    op.add_column("addonry_change", sa.Column("stall", sa.Text, nullable=False, server_default=""))
    op.drop_index("addonry_task_live", "addonry_task")
    op.create_index("addonry_task_live", "addonry_task", ["number"], sqlite_where=LIVE, postgresql_where=LIVE)
    op.drop_index("addonry_change_live", "addonry_change")
    op.create_index(
        "addonry_change_live",
        "addonry_change",
        ["cluster", "component"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )
    op.create_table(
        "addonry_worker",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("beat_at", sa.BigInteger, nullable=False),
    )
