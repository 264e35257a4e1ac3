"""Whether a change may touch CRDs in a way that is not safe.

The statements of the release before work on this schema: what they do not name has a default.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("addonry_change", sa.Column("unsafe_crds", sa.Boolean, nullable=False, server_default=sa.false()))
