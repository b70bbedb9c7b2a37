"""Doubts about what Redis says, which all processes read in the database.

Safe while the release before serves: it knows nothing of them. A new table, made in an instant.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = mysql.VARCHAR(36, charset="ascii", collation="ascii_bin")
    op.create_table(
        "redis_doubts",
        sa.Column("id", sa.String(36).with_variant(key, "mysql"), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_redis_doubts"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    op.drop_table("redis_doubts")
