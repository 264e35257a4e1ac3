"""Credentials of chart hosts. The release before does not know them, and asks those hosts as nobody."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "addonry_chart_host",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("credential_sealed", sa.LargeBinary, nullable=False),
    )
