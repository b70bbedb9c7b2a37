"""Up to which clock nobody has pushed since the newest push: a clock moves without one, too.

Safe while the release before serves: the column has a default, and a clock that it moves is not
this one. Added in an instant, whatever the size of the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("quiet_clock", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    op.add_column("users", column)


def downgrade() -> None:
    op.drop_column("users", "quiet_clock")
