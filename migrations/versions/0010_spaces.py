"""Shared spaces, who is in them, and what an account's timestamps stand for.

Safe while the release before serves: new tables, and a column with a default that is added
in an instant. What was stored for an account may belong to a space from now on, which is none:
four foreign keys go, which takes no copy on MariaDB and MySQL.
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
OF_SPACES = ("sync_pushes", "alterations", "outbox", "event_queues")


def key(length: int) -> sa.types.TypeEngine[str]:
    ascii_bin = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(ascii_bin, "mysql")


def moment() -> sa.types.TypeEngine[object]:
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql")


def of_account(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_user_id"
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=name, ondelete="CASCADE")


def of_space(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], name=f"fk_{table}_space_id")


def upgrade() -> None:
    op.create_table(
        "spaces",
        sa.Column("id", key(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_by", key(36), nullable=True),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("deleted_at", moment(), nullable=True),
        sa.Column("sync_clock", sa.BigInteger(), nullable=False),
        sa.Column("purged_clock", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spaces"),
        **OPTIONS,
    )
    spaces = sa.table(
        "spaces",
        *(sa.column(name, sa.String()) for name in ("id", "name")),
        *(sa.column(name, sa.BigInteger()) for name in ("sync_clock", "purged_clock")),
        sa.column("created_at", sa.DateTime()),
    )
    catalogue = {"id": "catalogue", "name": "catalogue", "sync_clock": 0, "purged_clock": 0}
    op.bulk_insert(spaces, [catalogue | {"created_at": datetime(2026, 1, 1)}])
    op.create_table(
        "memberships",
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("space_id", key(36), nullable=False),
        sa.Column("role", key(8), nullable=False),
        sa.Column("joined_at", moment(), nullable=False),
        sa.Column("joined_tick", sa.BigInteger(), nullable=False),
        sa.Column("first_clock", sa.BigInteger(), nullable=False),
        sa.Column("joined_clock", sa.BigInteger(), nullable=False),
        sa.Column("left_tick", sa.BigInteger(), nullable=True),
        of_account("memberships"),
        of_space("memberships"),
        sa.PrimaryKeyConstraint("user_id", "space_id", name="pk_memberships"),
        **OPTIONS,
    )
    op.create_index("idx_memberships_space_id", "memberships", ["space_id", "left_tick"])
    op.create_table(
        "invitations",
        sa.Column("id", key(36), nullable=False),
        sa.Column("space_id", key(36), nullable=False),
        sa.Column("digest", key(64), nullable=False),
        sa.Column("role", key(8), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("created_by", key(36), nullable=True),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("expires_at", moment(), nullable=False),
        sa.Column("used_by", key(36), nullable=True),
        of_space("invitations"),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("digest", name="uq_invitations_digest"),
        **OPTIONS,
    )
    op.create_index("idx_invitations_space_id", "invitations", ["space_id"])
    op.create_table(
        "sync_points",
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("space_id", key(36), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("space_clock", sa.BigInteger(), nullable=True),
        of_account("sync_points"),
        sa.PrimaryKeyConstraint("user_id", "space_id", "timestamp", name="pk_sync_points"),
        **OPTIONS,
    )
    op.create_table(
        "retellings",
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tablename", key(64), nullable=False),
        sa.Column("id", key(36), nullable=False),
        of_account("retellings"),
        sa.PrimaryKeyConstraint("user_id", "timestamp", "tablename", "id", name="pk_retellings"),
        **OPTIONS,
    )
    op.create_index("idx_retellings_record", "retellings", ["user_id", "tablename", "id"])
    shared = sa.Column("shared_clock", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    op.add_column("users", shared)
    for table in OF_SPACES:
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"fk_{table}_user_id", type_="foreignkey")


def downgrade() -> None:
    for table in OF_SPACES:
        of_spaces = "user_id NOT IN (SELECT id FROM users)"
        op.execute(f"DELETE FROM {table} WHERE {of_spaces}")  # noqa: S608 - names only
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(
                f"fk_{table}_user_id", "users", ["user_id"], ["id"], ondelete="CASCADE"
            )
    op.drop_column("users", "shared_clock")
    for table in ("retellings", "sync_points", "invitations", "memberships", "spaces"):
        op.drop_table(table)
