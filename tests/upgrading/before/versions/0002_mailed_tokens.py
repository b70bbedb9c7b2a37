"""Mailed tokens, verified addresses, and a version of each account for the cache.

Safe while the release before serves: it does not name the new columns, and both can be left out.
But it does not tell the cache of its changes: for a minute after its end old news may be told.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
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


def upgrade() -> None:
    op.add_column("users", sa.Column("email_verified_at", MOMENT, nullable=True))
    version = sa.Column("version", sa.Integer(), nullable=False, server_default=sa.text("0"))
    op.add_column("users", version)
    op.create_table(
        "mailed_tokens",
        sa.Column("digest", key(64), nullable=False),
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("purpose", key(16), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_mailed_tokens"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_mailed_tokens_user_id", ondelete="CASCADE"
        ),
        **OPTIONS,
    )
    op.create_index("idx_mailed_tokens_user_id", "mailed_tokens", ["user_id"])


def downgrade() -> None:
    op.drop_table("mailed_tokens")
    op.drop_column("users", "version")
    op.drop_column("users", "email_verified_at")
