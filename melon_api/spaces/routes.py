"""`/spaces`: what people share, with whom, and how somebody comes in."""

from typing import Any

from melon_api.auth.guard import caller, signed_in
from melon_api.spaces import departures, docs, invitations, joining, members, service
from melon_api.spaces.access import SharedSpace
from melon_api.spaces.invitations import Invited
from melon_api.spaces.members import Member
from melon_api.spaces.schemas import (
    InvitationSchema,
    JoinSchema,
    MemberSchema,
    NewInvitationSchema,
    NewlyInvitedSchema,
    NewSpaceSchema,
    RenamedSpaceSchema,
    RoleSchema,
    SpaceSchema,
)
from melon_api.web.calls import Created, accepts, answers
from melon_api.web.limits import limited, limited_mail
from melon_api.web.openapi.call import Blueprint
from melon_api.web.request import API

blueprint = Blueprint("spaces", __name__, "Spaces", docs.calls, url_prefix=f"{API}/spaces")


def is_mailed(body: dict[str, Any]) -> bool:
    return bool(body.get("email"))


@limited("SPACES")
def _check_create(body: dict[str, Any]) -> None:
    service.check_create(caller(), body)


@limited("SPACES")
def _check_join(body: dict[str, Any]) -> None:
    joining.check_join(caller(), body.get("token"))


@blueprint.get("")
@signed_in(verified=True)
@limited("SPACES")
@answers(200, SpaceSchema, many=True)
def list_spaces() -> list[SharedSpace]:
    """The shared spaces that the caller is in

    The shared spaces that the caller is in, the one it joined first at the beginning; the caller's
    own space, which nobody else sees, is not among them.
    """
    return service.list_spaces(caller())


@blueprint.post("")
@signed_in(verified=True)
@accepts(NewSpaceSchema, _check_create)
@limited("SPACES")
@answers(200, SpaceSchema, creates=True)
def create_space(body: dict[str, Any]) -> SharedSpace | Created:
    """Make a shared space; the caller owns it

    Makes a shared space, which the caller owns. With an `id` of the app's own the call may be
    repeated: it answers 200 then, with the same space. An id is never used twice.
    """
    space, is_new = service.create(caller(), body["name"], body.get("id"))
    return Created(space) if is_new else space


@blueprint.patch("/<space_id>")
@signed_in(verified=True)
@accepts(RenamedSpaceSchema)
@limited("SPACES")
@answers(200, SpaceSchema)
def rename_space(body: dict[str, Any], space_id: str) -> SharedSpace:
    """Give a space another name; owners

    Gives a space another name. It takes an owner.
    """
    return service.rename(caller(), space_id, body["name"])


@blueprint.delete("/<space_id>")
@signed_in(verified=True)
@limited("SPACES")
@answers(204)
def delete_space(space_id: str) -> None:
    """Delete a space and its records, for everybody; owners

    Deletes a space: its records are gone for everybody, at each phone's next pull. It takes an
    owner, and cannot be undone.
    """
    departures.delete_space(caller(), space_id)


@blueprint.get("/<space_id>/members")
@signed_in(verified=True)
@limited("SPACES")
@answers(200, MemberSchema, many=True)
def list_members(space_id: str) -> list[Member]:
    """Who is in a space, in which role

    Who is in a space, in which role, and since when. Members see each other's names, and no
    address.
    """
    return members.list_members(caller(), space_id)


@blueprint.patch("/<space_id>/members/<user_id>")
@signed_in(verified=True)
@accepts(RoleSchema)
@limited("SPACES")
@answers(200, MemberSchema)
def set_role(body: dict[str, Any], space_id: str, user_id: str) -> Member:
    """Give a member another role; owners

    Gives a member another role, from its next call on. It takes an owner, and the last one keeps
    its role.
    """
    return members.set_role(caller(), space_id, user_id, body["role"])


@blueprint.delete("/<space_id>/members/<user_id>")
@signed_in(verified=True)
@limited("SPACES")
@answers(204)
def remove_member(space_id: str, user_id: str) -> None:
    """Leave a space or, as an owner, remove somebody

    Ends a membership: that of the caller, who leaves, or as an owner anybody's. The records are
    deleted on the phones of who is out. The last owner stays, or deletes the space.
    """
    members.remove(caller(), space_id, user_id)


@blueprint.post("/<space_id>/invitations")
@signed_in(verified=True)
@accepts(NewInvitationSchema)
@limited("SPACES")
@limited("INVITE", when=is_mailed)
@limited_mail(when=is_mailed, is_to_others=True)
@answers(201, NewlyInvitedSchema)
def invite(body: dict[str, Any], space_id: str) -> Invited:
    """Invite somebody, by a token or by mail; owners

    Makes a token that works once, within 7 days: for whoever is given it or, with `email`, for the
    account that has confirmed this address. Then it is in the mail alone. It takes an owner, and
    works for as long as that one owns the space.
    """
    return invitations.invite(caller(), space_id, body["role"], body["email"])


@blueprint.get("/<space_id>/invitations")
@signed_in(verified=True)
@limited("SPACES")
@answers(200, InvitationSchema, many=True)
def list_invitations(space_id: str) -> list[Invited]:
    """The invitations that still work; owners

    The invitations that still work, without their tokens. It takes an owner.
    """
    return invitations.list_invitations(caller(), space_id)


@blueprint.delete("/<space_id>/invitations/<invitation_id>")
@signed_in(verified=True)
@limited("SPACES")
@answers(204)
def revoke_invitation(space_id: str, invitation_id: str) -> None:
    """Take an invitation back; owners

    Takes an invitation back that nobody has used. It takes an owner.
    """
    invitations.revoke(caller(), space_id, invitation_id)


@blueprint.post("/join")
@signed_in(verified=True)
@accepts(JoinSchema, _check_join)
@limited("SPACES")
@answers(200, SpaceSchema)
def join_space(body: dict[str, Any]) -> SharedSpace:
    """Come into a space, by an invitation's token

    Makes the caller a member. A token works once; who has come in by it may repeat the call. Who
    is a member already keeps its role, and the token is not used up.
    """
    return joining.join(caller(), body["token"])
