"""The newest push of each session, by the number that the app gave it.

Safe while the release before serves: it does not name the column, which has a default. Added in an
instant, whatever the size of the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.Column("push_number", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    op.add_column("sessions", number)


def downgrade() -> None:
    op.drop_column("sessions", "push_number")
