"""Whose the newest pushes of an account are, in place of a log of all.

Safe while the release before serves: the columns have defaults; a clock that it moves is not that
of a run, and `log_purged_at_ms` tells it which pushes its log lacks. Added in an instant, whatever
the size of the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = ("run_session", "run_since", "run_clock")


def upgrade() -> None:
    for name in COLUMNS:
        column = sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        op.add_column("users", column)


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("users", name)
