"""Ada's examples of the calls of `/spaces`. Their words are the views' docstrings."""

from melon_api.auth.docs import MOMENT, USER
from melon_api.models.space import CATALOGUE, EDITOR, OWNER, READER
from melon_api.web.openapi.call import Call, Example, Problem

HOME = {"id": "9Jq2mXbT0fLr", "name": "Home"}
SPACE = {**HOME, "role": OWNER, "members": 1, "created_at": MOMENT}
JOINED = {**SPACE, "role": EDITOR, "members": 2}
MEMBER = {"user_id": USER["id"], "name": "Ada", "role": OWNER, "joined_at": MOMENT}
INVITATION: dict[str, object] = {
    "id": "2f0b8a61-7c35-4e0d-93d8-51b6c4a7e9f2",
    "role": EDITOR,
    "email": None,
}
INVITATION |= {"expires_at": MOMENT}
MAILED = {**INVITATION, "email": "grace@example.com"}
TOKEN = "aW52aXRlZFRvU2hhcmVBU3BhY2U"  # noqa: S105 - an example
NO_SPACE = "There is no such space of yours."
BAD_TOKEN = {"token": ["Unknown, used, too old, or somebody else's; ask for a new one."]}
NO_NAME = {"name": ["Missing data for required field."]}
NO_ROLE = {"role": [f"Must be one of: {OWNER}, {EDITOR}, {READER}."]}
SPACE_ID: dict[str, object] = {"description": "the `id` of a space", "example": HOME["id"]}
USER_ID: dict[str, object] = {"description": "the `user_id` of a member", "example": USER["id"]}
INVITATION_ID: dict[str, object] = {
    "description": "the `id` of an invitation",
    "example": INVITATION["id"],
}
IN_SPACE: dict[str, dict[str, object]] = {"space_id": SPACE_ID}
NOT_THERE = {"not_found": Problem(detail=NO_SPACE)}
OF_OWNERS = {**NOT_THERE, "forbidden": Problem()}


def calls() -> dict[str, Call]:
    """By the name of the view."""
    return _of_spaces() | _of_members() | _of_invitations()


def _of_spaces() -> dict[str, Call]:
    return {
        "list_spaces": Call(answers={"spaces": Example("One space", [SPACE])}),
        "create_space": Call(
            requests={
                "named": Example("With an id of the app's own", HOME),
                "shortest": Example("The least", {"name": "Home"}),
            },
            answers={"space": Example("The space", SPACE)},
            problems={
                "id_taken": Problem(HOME | {"id": CATALOGUE}),
                "validation_failed": Problem({"id": HOME["id"]}, NO_NAME),
            },
        ),
        "rename_space": Call(
            path=IN_SPACE,
            requests={"name": Example("Another name", {"name": "Family"})},
            answers={"space": Example("The space", SPACE | {"name": "Family"})},
            problems={**OF_OWNERS, "validation_failed": Problem({}, NO_NAME)},
        ),
        "delete_space": Call(path=IN_SPACE, problems=OF_OWNERS),
    }


def _of_members() -> dict[str, Call]:
    path: dict[str, dict[str, object]] = {**IN_SPACE, "user_id": USER_ID}
    one = {"last_owner": Problem(), "forbidden": Problem()}
    one["not_found"] = Problem(detail=NO_SPACE)
    return {
        "list_members": Call(
            path=IN_SPACE,
            answers={"members": Example("One member", [MEMBER])},
            problems=NOT_THERE,
        ),
        "set_role": Call(
            path=path,
            requests={"role": Example("An owner", {"role": OWNER})},
            answers={"member": Example("The member", MEMBER)},
            problems={
                **one,
                "last_owner": Problem({"role": READER}),
                "validation_failed": Problem({"role": "king"}, NO_ROLE),
            },
        ),
        "remove_member": Call(path=path, problems=one),
    }


def _of_invitations() -> dict[str, Call]:
    by_mail = {"role": EDITOR, "email": MAILED["email"]}
    return {
        "invite": Call(
            path=IN_SPACE,
            requests={
                "link": Example("A token, to be handed over", {"role": EDITOR}),
                "mail": Example("By mail", by_mail),
            },
            answers={
                "link": Example("With its token", INVITATION | {"token": TOKEN}),
                "mail": Example("The token is in the mail", MAILED),
            },
            problems={**OF_OWNERS, "validation_failed": Problem({"role": "king"}, NO_ROLE)},
        ),
        "list_invitations": Call(
            path=IN_SPACE,
            answers={"invitations": Example("One invitation", [INVITATION])},
            problems=OF_OWNERS,
        ),
        "revoke_invitation": Call(
            path={**IN_SPACE, "invitation_id": INVITATION_ID}, problems=OF_OWNERS
        ),
        "join_space": Call(
            requests={"join": Example("With the token", {"token": TOKEN})},
            answers={"space": Example("The space", JOINED)},
            problems={"validation_failed": Problem({"token": "unknown"}, BAD_TOKEN)},
        ),
    }
