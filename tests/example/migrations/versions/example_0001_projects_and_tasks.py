"""Projects and tasks, the tables of the tests.

Databases of before the app had a room of its own have them already, made by revision 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "example_0001"
down_revision = None
branch_labels = ("app",)
depends_on = "0002"

OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def key(length: int) -> sa.types.TypeEngine[str]:
    ascii_bin = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(ascii_bin, "mysql")


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
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=f"fk_{table}_user_id", ondelete="CASCADE"
        ),
        **OPTIONS,
    )
    op.create_index(f"idx_{table}_updated_at_ms", table, ["user_id", "updated_at_ms"])


# What is made of each at the end: without it, this migration was cut off.
LAST = {"projects": "idx_projects_updated_at_ms", "tasks": "idx_tasks_project_id"}


def upgrade() -> None:
    there = tables()
    if "projects" not in there:
        synced(
            "projects",
            sa.Column("name", sa.String(255), nullable=False),
            sa.Column("description", sa.Text(), nullable=True),
        )
    if "tasks" not in there:
        synced(
            "tasks",
            sa.Column("title", sa.String(255), nullable=False),
            sa.Column("description", sa.Text(), nullable=True),
            sa.Column("is_completed", sa.Boolean(), nullable=False),
            sa.Column("project_id", key(36), nullable=False),
        )
        op.create_index("idx_tasks_project_id", "tasks", ["user_id", "project_id"])


def tables() -> list[str]:
    if op.get_context().as_sql:  # a script for a database that nobody looks into
        return []
    there = sa.inspect(op.get_bind())
    names = there.get_table_names()
    indices = {name: {i["name"] for i in there.get_indexes(name)} for name in LAST if name in names}
    return [name for name, found in indices.items() if LAST[name] in found]


def downgrade() -> None:
    op.drop_table("tasks")
    op.drop_table("projects")
