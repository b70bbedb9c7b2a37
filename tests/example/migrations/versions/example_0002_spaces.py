"""Records may be a space's, which is no account: their foreign keys to accounts go."""

from alembic import op

revision = "example_0002"
down_revision = "example_0001"
branch_labels = None
depends_on = "0010"


def upgrade() -> None:
    for table in ("projects", "tasks"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"fk_{table}_user_id", type_="foreignkey")


def downgrade() -> None:
    for table in ("projects", "tasks"):
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(
                f"fk_{table}_user_id", "users", ["user_id"], ["id"], ondelete="CASCADE"
            )
