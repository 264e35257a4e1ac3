"""Users, policies, temporary keys, nonces and the audit log; what is set of a cluster, and its checks.

The statements of the release before work on this schema: what they do not name has a default. It knows neither users nor
temporary keys and takes every key for the account's own, so make users only once every process is new.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.BigInteger
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("addonry_access_key", sa.Column("user_name", sa.Text, nullable=False, server_default=""))
    op.add_column("addonry_access_key", sa.Column("token_sealed", sa.LargeBinary))
    op.add_column("addonry_access_key", sa.Column("expires_at", MOMENT))
    op.add_column("addonry_access_key", sa.Column("session_policy", sa.Text))
    op.create_index("addonry_access_key_by_user", "addonry_access_key", ["user_name"])
    op.create_table(
        "addonry_user",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "addonry_policy",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
    )
    op.create_table(
        "addonry_attachment",
        sa.Column(
            "user_name", sa.String(128), sa.ForeignKey("addonry_user.name", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("policy", sa.String(128), primary_key=True),
    )
    op.create_table(
        "addonry_nonce",
        sa.Column("mark", sa.LargeBinary(16), primary_key=True),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("addonry_nonce_by_time", "addonry_nonce", ["at"])
    op.create_table(
        "addonry_audit",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("operation", "method", "path", "cluster", "access_key", "user_name", "source")
        ),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("milliseconds", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("addonry_audit_by_time", "addonry_audit", ["at"])
    op.create_table(
        "addonry_cluster_profile",
        sa.Column("cluster", sa.String(64), sa.ForeignKey("addonry_cluster.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("profile", sa.Text, nullable=False),
    )
    op.create_table(
        "addonry_cluster_check",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(192), nullable=False, unique=True),
        sa.Column("cluster", sa.String(64), sa.ForeignKey("addonry_cluster.id", ondelete="CASCADE"), nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("addonry_cluster_check_by_cluster", "addonry_cluster_check", ["cluster", "number"])
