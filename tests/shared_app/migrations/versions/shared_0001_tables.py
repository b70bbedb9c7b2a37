"""The tables of the tests of shared spaces."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "shared_0001"
down_revision = None
branch_labels = ("app",)
depends_on = "0010"

OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def key(length: int) -> sa.types.TypeEngine[str]:
    ascii_bin = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(ascii_bin, "mysql")


def synced(
    table: str, *columns: sa.Column, parent: str | None = None, is_root: bool = False
) -> None:
    """A table that syncs: clustered by space, with the app's times and the engine's clocks."""
    own = [*columns, *([sa.Column(parent, key(36), nullable=is_root)] if parent else [])]
    op.create_table(
        table,
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("id", key(36), nullable=False),
        *own,
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.BigInteger(), nullable=False),
        sa.Column("rival_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"pk_{table}"),
        **OPTIONS,
    )
    op.create_index(f"idx_{table}_updated_at_ms", table, ["user_id", "updated_at_ms"])
    if parent:
        op.create_index(f"idx_{table}_{parent}", table, ["user_id", parent])


def text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def name(column: str = "name") -> sa.Column:
    return sa.Column(column, sa.String(255), nullable=False)


def upgrade() -> None:
    space = sa.Column("space_id", key(36), nullable=True)
    synced("projects", name(), text("description", nullable=True), space)
    completed = sa.Column("is_completed", sa.Boolean(), nullable=False)
    description = text("description", nullable=True)
    synced("tasks", name("title"), description, completed, parent="project_id")
    synced("steps", name(), parent="task_id")
    inside = sa.Column("space_id", key(36), nullable=True)
    synced("folders", name(), inside, parent="folder_id", is_root=True)
    synced("diaries", name())
    synced("templates", name(), text("body"))


def downgrade() -> None:
    for table in ("templates", "diaries", "folders", "steps", "tasks", "projects"):
        op.drop_table(table)
