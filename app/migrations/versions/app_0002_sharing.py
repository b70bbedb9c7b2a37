"""Projects may be in a space that several accounts share; templates are for everybody.

Safe while the release before serves: a column that may be null and is added in an instant, a new
table. The foreign keys to accounts go: a shared space is none. That copies nothing on MariaDB and
MySQL.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "app_0002"
down_revision = "app_0001"
branch_labels = None
depends_on = "0010"

OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def key(length: int) -> sa.types.TypeEngine[str]:
    ascii_bin = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(ascii_bin, "mysql")


def upgrade() -> None:
    with op.batch_alter_table("projects") as batch:
        batch.drop_constraint("fk_projects_user_id", type_="foreignkey")
        batch.add_column(sa.Column("space_id", key(36), nullable=True))
    with op.batch_alter_table("tasks") as batch:
        batch.drop_constraint("fk_tasks_user_id", type_="foreignkey")
    op.create_table(
        "templates",
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("id", key(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.BigInteger(), nullable=False),
        sa.Column("rival_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_templates"),
        **OPTIONS,
    )
    op.create_index("idx_templates_updated_at_ms", "templates", ["user_id", "updated_at_ms"])


def downgrade() -> None:
    """What is shared goes: the release before knows nobody whose it could be."""
    op.drop_table("templates")
    for table in ("tasks", "projects"):
        shared = "user_id NOT IN (SELECT id FROM users)"
        op.execute(f"DELETE FROM {table} WHERE {shared}")  # noqa: S608 - names only
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(
                f"fk_{table}_user_id", "users", ["user_id"], ["id"], ondelete="CASCADE"
            )
    with op.batch_alter_table("projects") as batch:
        batch.drop_column("space_id")
