"""Ways in without a password: no address, identities, codes, and what is to be revoked.

Safe while the release before serves: the new column has a default, and an account without an
address does it no harm. On MySQL and MariaDB `users` is built anew for the address that may be
null, while it is read and written.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql")
EMAIL = sa.String(254)
NOWHERE = "@no-address.invalid"  # RFC 6761 §6.4: nobody's
IDS_PER_STATEMENT = 500


def key(length: int) -> sa.types.TypeEngine[str]:
    ascii_bin = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(ascii_bin, "mysql")


def begin() -> None:
    """SQLite makes the table anew in three steps: nobody may see it between them."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite" and not connection.connection.in_transaction:
        op.execute("BEGIN IMMEDIATE")


def forget_nowhere() -> None:
    """Addresses that `downgrade` made are none. Looked for with a plain read: an UPDATE holds every
    row that it looks at until it ends, and with it all pushes."""
    users = sa.table("users", sa.column("id"), sa.column("email"))
    been_back = users.c.email.like(f"%{NOWHERE}")
    if op.get_context().as_sql:  # a script for a database that nobody looks into
        op.execute(users.update().where(been_back).values(email=None))
        return
    found = list(op.get_bind().scalars(sa.select(users.c.id).where(been_back)))
    for start in range(0, len(found), IDS_PER_STATEMENT):
        some = users.c.id.in_(found[start : start + IDS_PER_STATEMENT])
        op.execute(users.update().where(some, been_back).values(email=None))


def upgrade() -> None:
    begin()
    with op.batch_alter_table("users") as users:
        users.alter_column("email", existing_type=EMAIL, nullable=True)
        users.add_column(sa.Column("providers", key(700), nullable=False, server_default=""))
    forget_nowhere()
    op.create_table(
        "identities",
        sa.Column("provider", key(32), nullable=False),
        sa.Column("subject", key(255), nullable=False),
        sa.Column("user_id", key(36), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("client_id", sa.String(255), nullable=True),
        sa.Column("refresh_token", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_identities_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("provider", "subject", name="pk_identities"),
        sa.UniqueConstraint("user_id", "provider", name="uq_identities_user_id_provider"),
        **OPTIONS,
    )
    op.create_table(
        "mailed_codes",
        sa.Column("email", EMAIL, nullable=False),
        sa.Column("digest", key(64), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("email", name="pk_mailed_codes"),
        **OPTIONS,
    )
    op.create_table(
        "revocations",
        sa.Column("id", key(36), nullable=False),
        sa.Column("provider", key(32), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("refresh_token", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revocations"),
        **OPTIONS,
    )


def downgrade() -> None:
    """Accounts without an address keep their records, and get one that is nobody's."""
    op.drop_table("revocations")
    op.drop_table("mailed_codes")
    op.drop_table("identities")
    begin()
    users, nowhere = sa.table("users", sa.column("id"), sa.column("email")), sa.literal(NOWHERE)
    op.execute(
        users.update().where(users.c.email.is_(None)).values(email=users.c.id.concat(nowhere))
    )
    with op.batch_alter_table("users") as changed:
        changed.drop_column("providers")
        changed.alter_column("email", existing_type=EMAIL, nullable=False)
