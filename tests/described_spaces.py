"""Ada's space, as the examples of `/openapi.json` have it, and who else is in it."""

from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import delete, insert

from melon_api.auth.docs import ADA
from melon_api.auth.tokens import digest
from melon_api.models.base import db, utc_now
from melon_api.models.space import EDITOR, OWNER, Invitation, Membership, Space
from melon_api.spaces.docs import HOME, INVITATION, TOKEN
from melon_api.spaces.docs import calls as space_calls
from melon_api.users.docs import NEW_ADDRESS
from melon_api.web.openapi.call import Call

IN_A_SPACE = {"renameSpace", "deleteSpace", "listMembers", "setRole", "removeMember", "invite"}
IN_A_SPACE |= {"listInvitations", "revokeInvitation", "listSpaces"}
JOIN = "joinSpace"
CALLS: dict[str, Call] = space_calls()
PATHS = {"space_id": str(HOME["id"]), "invitation_id": str(INVITATION["id"])}


def forget_spaces(app: Flask) -> None:
    """Ids are never used twice, examples are."""
    with app.app_context():
        for model in (Invitation, Membership, Space):
            db.session.execute(delete(model))
        db.session.commit()


def begin(world: Any, operation_id: str, code: str) -> None:
    """As it is before this call: Ada owns the space, alone where she is to be its last owner; as an
    editor she may not do what takes an owner; to join she is invited. `world.member` is whom a call
    is about."""
    if operation_id not in IN_A_SPACE | {JOIN}:
        return
    grace = world._post("register", ADA | {"email": NEW_ADDRESS["email"]})["user"]["id"]
    world.member = grace if code == "forbidden" else world.user["id"]
    ada, space_id = world.user["id"], PATHS["space_id"]
    is_theirs = operation_id == JOIN or code == "forbidden" or operation_id == "removeMember"
    with world.app.app_context():
        stamps = {"created_at": utc_now(), "sync_clock": 0, "purged_clock": 0}
        db.session.execute(insert(Space).values(**HOME, **stamps, created_by=ada))
        if operation_id != JOIN:
            _enter(ada, EDITOR if code == "forbidden" else OWNER)
        if is_theirs and code != "last_owner":
            _enter(grace, OWNER)
        row = {**INVITATION, "space_id": space_id, "digest": digest(TOKEN), "created_by": grace}
        row |= {"created_at": utc_now(), "expires_at": utc_now() + timedelta(minutes=1)}
        db.session.execute(insert(Invitation).values(row))
        db.session.commit()


def _enter(user_id: str, role: str) -> None:
    member = {"user_id": user_id, "space_id": PATHS["space_id"], "role": role}
    clocks = {"joined_at": utc_now(), "joined_tick": 1, "first_clock": 0, "joined_clock": 0}
    db.session.execute(insert(Membership).values(**member, **clocks))
