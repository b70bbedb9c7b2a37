"""Which tokens of a session were used: until then the one before them is honoured.

Safe while the release before serves: the sessions that it opens leave it null, which counts as
used. Added in an instant.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("used_generation", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "used_generation")
