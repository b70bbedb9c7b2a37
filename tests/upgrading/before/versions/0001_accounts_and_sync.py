"""Accounts, sessions, the log of pushes, and the example's projects and tasks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql")


def key(length: int) -> sa.types.TypeEngine[str]:
    ascii_bin = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(ascii_bin, "mysql")


def owner(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_user_id"
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=name, ondelete="CASCADE")


def synced(table: str, *columns: sa.schema.SchemaItem) -> None:
    """A table that syncs: clustered by account, with the app's times and the engine's clocks."""
    op.create_table(
        table,
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("id", key(36), nullable=False),
        *columns,
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.BigInteger(), nullable=False),
        sa.Column("rival_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"pk_{table}"),
        owner(table),
        **OPTIONS,
    )
    op.create_index(f"idx_{table}_updated_at_ms", table, ["user_id", "updated_at_ms"])


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", key(36), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("password", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("last_modified_at", sa.BigInteger(), nullable=False),
        sa.Column("purged_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("log_purged_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        **OPTIONS,
    )
    op.create_table(
        "sessions",
        sa.Column("id", key(36), nullable=False),
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("device", key(66), nullable=False),
        sa.Column("device_name", sa.String(255), nullable=True),
        sa.Column("user_agent", sa.String(255), nullable=True),
        sa.Column("refresh_hash", sa.String(64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rotated_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        owner("sessions"),
        **OPTIONS,
    )
    op.create_index("idx_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "sync_pushes",
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("clock", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("device", sa.BigInteger(), nullable=False),
        sa.Column("as_sent", sa.Boolean(), nullable=False),
        sa.Column("adopted", sa.Text().with_variant(mysql.LONGTEXT(), "mysql"), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "clock", name="pk_sync_pushes"),
        owner("sync_pushes"),
        **OPTIONS,
    )
    synced(
        "projects",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
    )
    synced(
        "tasks",
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_completed", sa.Boolean(), nullable=False),
        sa.Column("project_id", key(36), nullable=False),
    )
    op.create_index("idx_tasks_project_id", "tasks", ["user_id", "project_id"])


def downgrade() -> None:
    for table in ("tasks", "projects", "sync_pushes", "sessions", "users"):
        op.drop_table(table)
