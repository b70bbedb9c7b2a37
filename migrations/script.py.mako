"""${message}"""

import sqlalchemy as sa
from alembic import op
${f"{imports}\n" if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
% if phone_names:
# What phones call them, from here on.
phone_names = {
% for place, name in sorted(phone_names.items()):
    ${repr(place)}: ${repr(name)},
% endfor
}
% endif


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
