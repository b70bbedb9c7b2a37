"""What devices have sent where a rule of the app stored something else.

Safe while the release before serves: it knows nothing of it. A new table, made in an instant.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = mysql.VARCHAR(36, charset="ascii", collation="ascii_bin")
    op.create_table(
        "alterations",
        sa.Column("user_id", sa.String(36).with_variant(key, "mysql"), nullable=False),
        sa.Column("clock", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("device", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.Text().with_variant(mysql.LONGTEXT(), "mysql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_alterations_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "clock", "part", name="pk_alterations"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    op.drop_table("alterations")
