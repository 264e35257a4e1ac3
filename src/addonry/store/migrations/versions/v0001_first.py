"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Spelled out instead of taken from ``store.tables``: a migration must stay what it was when the tables move on.
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.BigInteger()
LIVE = sa.text("status IN ('queued', 'running')")


def upgrade() -> None:
    op.create_table(
        "addonry_meta",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "addonry_cluster",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("kubernetes", sa.Text, nullable=False),
        sa.Column("nodes", sa.Integer, nullable=False),
        sa.Column("reach", sa.String(16), nullable=False),
        sa.Column("trouble", sa.Text, nullable=False),
        sa.Column("scanned_at", MOMENT),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("surroundings", sa.Text, nullable=False),
        sa.Column("kubeconfig_sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "addonry_component",
        sa.Column("cluster", sa.String(64), sa.ForeignKey("addonry_cluster.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("in_catalog", sa.Boolean, nullable=False),
        sa.Column("observed_at", MOMENT),
        sa.Column("found", sa.Text, nullable=False),
        sa.Column("values_sealed", sa.LargeBinary),
    )
    op.create_index("addonry_component_by_version", "addonry_component", ["name", "version"])
    op.create_table(
        "addonry_task",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("cluster", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("current", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("claim", sa.String(64)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Column("requested_by", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("addonry_task_by_cluster", "addonry_task", ["cluster", "number"])
    op.create_index("addonry_task_live", "addonry_task", ["number"], sqlite_where=LIVE, postgresql_where=LIVE)
    op.create_table(
        "addonry_change",
        sa.Column("task", NUMBER, sa.ForeignKey("addonry_task.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("cluster", sa.String(64), nullable=False),
        sa.Column("component", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("placement", sa.Text, nullable=False),
        sa.Column("from_version", sa.Text, nullable=False),
        sa.Column("to_version", sa.Text, nullable=False),
        sa.Column("values_sealed", sa.LargeBinary),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("snapshot", sa.Text),
        sa.Column("trouble", sa.Text),
        sa.Column("percent", sa.Integer, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
    )
    op.create_index("addonry_change_by_component", "addonry_change", ["cluster", "component", "task"])
    op.create_index(
        "addonry_change_live",
        "addonry_change",
        ["cluster", "component"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )
    op.create_table(
        "addonry_step",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("task", NUMBER, sa.ForeignKey("addonry_task.number", ondelete="CASCADE"), nullable=False),
        sa.Column("component", sa.Text, nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Column("ok", sa.Boolean),
        sa.Column("message", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("addonry_step_by_task", "addonry_step", ["task", "number"])
    op.create_table(
        "addonry_event",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("cluster", sa.String(64), nullable=False),
        sa.Column("task", sa.String(64)),
        sa.Column("component", sa.Text),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("addonry_event_by_cluster", "addonry_event", ["cluster", "number"])
    op.create_index("addonry_event_by_task", "addonry_event", ["task", "number"])
    op.create_table(
        "addonry_access_key",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(128), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("is_root", sa.Boolean, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "addonry_chart_index",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("last_modified", sa.Text, nullable=False),
        sa.Column("fetched_at", MOMENT, nullable=False),
    )
