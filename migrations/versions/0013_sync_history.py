"""What became of calls of sync: who pushed and pulled when, how many of what, and what was refused.

Safe while the release before serves: a new table, which that one does not know.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def key(length: int) -> sa.types.TypeEngine[str]:
    ascii_bin = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(ascii_bin, "mysql")


def upgrade() -> None:
    op.create_table(
        "sync_history",
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("session_id", key(36), nullable=False),
        sa.Column("kind", key(8), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("code", key(64), nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("request_id", key(64), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "at_ms", "part", name="pk_sync_history"),
        **OPTIONS,
    )
    op.create_index("idx_sync_history_at_ms", "sync_history", ["at_ms"])


def downgrade() -> None:
    op.drop_table("sync_history")
