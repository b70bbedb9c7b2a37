"""Ada's examples of the calls without a password. Their words are the views' docstrings."""

from melon_api.auth.docs import PHONE, TOKENS, USER
from melon_api.web.openapi.call import Call, Example

GUEST = USER | {"email": None, "name": None, "is_guest": True, "has_password": False}
AS_GUEST = {"signed_in": Example("The tokens and the guest", TOKENS | {"user": GUEST})}


def calls() -> dict[str, Call]:
    """By the name of the view."""
    return {
        "guest": Call(
            requests={"phone": Example("On a phone", PHONE), "shortest": Example("The least", {})},
            answers=AS_GUEST,
        ),
    }
