"""Ada's examples of the calls without a password. Their words are the views' docstrings."""

from melon_api.auth.docs import ADA, NO_ADDRESS, PHONE, SIGNED_IN, TOKENS, USER
from melon_api.passwordless.codes import BAD_CODE
from melon_api.web.openapi.call import Call, Example, Problem

GUEST = USER | {"email": None, "name": None, "is_guest": True, "has_password": False}
CODE = "407219"
BY_CODE = {"email": ADA["email"], "code": CODE}
AS_GUEST = {"signed_in": Example("The tokens and the guest", TOKENS | {"user": GUEST})}


def calls() -> dict[str, Call]:
    """By the name of the view."""
    return {
        "guest": Call(
            requests={"phone": Example("On a phone", PHONE), "shortest": Example("The least", {})},
            answers=AS_GUEST,
        ),
        "request_code": Call(
            requests={"code": Example("An address", {"email": ADA["email"]})},
            problems={"validation_failed": Problem({"email": "ada"}, NO_ADDRESS)},
        ),
        "sign_in_with_code": Call(
            requests={
                "phone": Example("On a phone", BY_CODE | {"name": "Ada"} | PHONE),
                "shortest": Example("The least", BY_CODE),
            },
            answers=SIGNED_IN,
            problems={
                "invalid_credentials": Problem(BY_CODE | {"code": "000000"}, detail=BAD_CODE),
                "account_disabled": Problem(BY_CODE),
                "validation_failed": Problem(BY_CODE | {"email": "ada"}, NO_ADDRESS),
            },
        ),
    }
