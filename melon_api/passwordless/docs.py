"""Ada's examples of the calls without a password. Their words are the views' docstrings."""

from melon_api.auth.docs import ADA, NO_ADDRESS, PHONE, SIGNED_IN, TOKENS, USER
from melon_api.passwordless.sentences import BAD_CODE, BAD_TOKEN, HAS_ANOTHER, NO_PROVIDER
from melon_api.web.openapi.call import Call, Example, Problem

GUEST = USER | {"email": None, "name": None, "is_guest": True, "has_password": False}
CODE = "407219"
BY_CODE = {"email": ADA["email"], "code": CODE}
PROVIDER = {"description": "`apple`, `google` or another of the server's", "example": "google"}
ID_TOKEN = "eyJhbGciOi…"  # noqa: S105 - an example
BY_TOKEN = {"id_token": ID_TOKEN, "nonce": "n-0S6_WzA2Mj"}
NO_TEXT = {"id_token": ["Not a valid string."]}
LINKED = USER | {"has_password": False, "email_verified": True, "identities": ["google"]}
BY_IDENTITY = {"signed_in": Example("The tokens and the user", TOKENS | {"user": LINKED})}
AS_GUEST = {"signed_in": Example("The tokens and the guest", TOKENS | {"user": GUEST})}


def calls() -> dict[str, Call]:
    """By the name of the view."""
    return {
        "guest": Call(
            requests={"phone": Example("On a phone", PHONE), "shortest": Example("The least", {})},
            answers=AS_GUEST,
        ),
        "sign_in_with_provider": Call(
            requests={
                "phone": Example("On a phone", BY_TOKEN | {"name": "Ada"} | PHONE),
                "shortest": Example("The least", BY_TOKEN),
            },
            answers=BY_IDENTITY,
            path={"provider": PROVIDER},
            problems={
                "not_found": Problem(detail=NO_PROVIDER),
                "invalid_credentials": Problem({"id_token": "not.one.ours"}, detail=BAD_TOKEN),
                "account_disabled": Problem(BY_TOKEN),
                "identity_taken": Problem(BY_TOKEN, detail=HAS_ANOTHER),
                "validation_failed": Problem({"id_token": 7}, NO_TEXT),
            },
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
