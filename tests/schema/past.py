"""A project's migrations as they may come about in years: (what they say, what they do).

Columns and tables go and come again, change their type, become required. Tests write them as a
folder of Alembic revisions.
"""

from collections.abc import Sequence
from pathlib import Path

HEAD = '''"""{doc}"""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = {revision!r}, {before!r}, None, None


def synced(table, *columns):
    numbers = ("created_at_ms", "created_by", "updated_at_ms", "updated_by", "rival_at_ms")
    op.create_table(
        table,
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        *columns,
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in numbers),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"pk_{{table}}"),
    )
    op.create_index(f"idx_{{table}}_updated_at_ms", table, ["user_id", "updated_at_ms"])


def add(table, *columns):
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.add_column(column)


def drop(table, column):
    with op.batch_alter_table(table) as batch:
        batch.drop_column(column)


def alter(table, column, **how):
    with op.batch_alter_table(table) as batch:
        batch.alter_column(column, **how)


def upgrade():
{body}
'''
YEARS = [
    ("Accounts", 'op.create_table("users", sa.Column("id", sa.String(36), primary_key=True))'),
    (
        "Notes with labels",
        """
        synced("notes",
            sa.Column("title", sa.String(40), nullable=False),
            sa.Column("body", sa.Text(), nullable=True),
            sa.Column("size", sa.String(9), nullable=True),
            sa.Column("color", sa.String(9), nullable=True),
            sa.Column("folder_id", sa.String(36), nullable=True))
        synced("labels", sa.Column("name", sa.String(40), nullable=False))
        """,
    ),
    ("An index that no app sees", 'op.create_index("idx_x", "notes", ["updated_at_ms"])'),
    (
        "Folders; notes lie in them",
        """
        synced("folders", sa.Column("name", sa.String(40), nullable=False))
        op.create_index("idx_notes_folder_id", "notes", ["user_id", "folder_id"])
        add("notes", sa.Column("is_pinned", sa.Boolean(), nullable=False, server_default="0"))
        """,
    ),
    ("No colors, no labels", 'drop("notes", "color")\nop.drop_table("labels")'),
    (
        "Colors again, as numbers, and labels",
        """
        add("notes", sa.Column("color", sa.Integer(), nullable=True))
        synced("labels", sa.Column("word", sa.String(40), nullable=False))
        """,
    ),
    ("A size is a number", 'alter("notes", "size", type_=sa.Double())'),
    (
        "A note has a body, and is found by its color",
        """
        alter("notes", "body", nullable=False, existing_type=sa.Text())
        op.create_index("idx_notes_color", "notes", ["user_id", "color"])
        op.drop_index("idx_notes_folder_id", "notes")
        """,
    ),
    (
        "A body is a text",
        'with op.batch_alter_table("notes") as batch:\n'
        '    batch.alter_column("body", new_column_name="text", existing_type=sa.Text())',
    ),
]


def write(folder: Path, years: Sequence[tuple[str, str]] = YEARS) -> Path:
    """As a folder that Alembic reads, one after the other: 0001, 0002 and on."""
    (folder / "versions").mkdir(parents=True)
    for number, (doc, body) in enumerate(years, start=1):
        revision, before = f"{number:04}", f"{number - 1:04}" if number > 1 else None
        write_one(folder, revision, before, doc, body)
    return folder


def write_one(folder: Path, revision: str, before: str | None, doc: str, body: str) -> None:
    lines = [f"    {line.removeprefix(' ' * 8)}" for line in body.strip("\n").splitlines()]
    text = HEAD.format(doc=doc, revision=revision, before=before, body="\n".join(lines))
    (folder / "versions" / f"{revision}.py").write_text(text)
