"""The tables as the models have them: nobody upgrades this app."""

from alembic import op

from tests.shelf_app.models import Folder, Label, Link, Project, Task

revision = "shelf_0001"
down_revision = None
branch_labels = ("app",)
depends_on = "0012"

MODELS = (Folder, Label, Project, Task, Link)


def upgrade() -> None:
    for model in MODELS:
        model.__table__.create(op.get_bind())


def downgrade() -> None:
    for model in reversed(MODELS):
        model.__table__.drop(op.get_bind())
