"""Which session made a push, beside which device.

Safe while the release before serves: its pushes leave it null, which counts as another session's,
as do those from before. Added in an instant.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sync_pushes", sa.Column("session", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("sync_pushes", "session")
