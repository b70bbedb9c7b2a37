"""What was committed and is still to be told to jobs and webhooks, and who is at it.

Safe while the release before serves: it knows nothing of it, and nobody listens before the next
one is there. New tables, made in an instant.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
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
        "outbox",
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("target", key(120), nullable=False),
        sa.Column("is_set_aside", sa.Boolean(), nullable=False),
        sa.Column("clock", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", key(36), nullable=False),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("causes", sa.Text(), nullable=False),
        sa.Column("ids", sa.Text().with_variant(mysql.LONGTEXT(), "mysql"), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_outbox_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "target", "is_set_aside", "clock", "part", name="pk_outbox"
        ),
        **OPTIONS,
    )
    op.create_index("idx_outbox_created_at_ms", "outbox", ["is_set_aside", "created_at_ms"])
    op.create_table(
        "event_queues",
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("target", key(120), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_event_queues_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "target", name="pk_event_queues"),
        **OPTIONS,
    )
    op.create_index("idx_event_queues_due_at", "event_queues", ["due_at"])


def downgrade() -> None:
    op.drop_table("event_queues")
    op.drop_table("outbox")
