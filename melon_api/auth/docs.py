"""Ada's examples of the calls of `/auth`. Their words are the views' docstrings."""

from melon_api.web.openapi.call import Call, Example, Problem

MOMENT = "2026-05-04T08:15:30.123000+00:00"
PHONE = {"device_name": "Ada's phone", "device_id": "3f6c1c2e-phone"}
NEW_PASSWORD = "nine purple elephants"  # noqa: S105 - an example
ADA = {"email": "ada@example.com", "password": "correct horse battery"}
USER = {
    "id": "0b8f5c2d-9e7a-4f13-a6d2-c8e4b1f09753",
    "email": ADA["email"],
    "name": "Ada",
    "is_active": True,
    "is_guest": False,
    "has_password": True,
    "email_verified": False,
    "identities": [],
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
TOKENS: dict[str, object] = {"access_token": "eyJhbGciOi…", "refresh_token": "eyJhbGciOi…"}
TOKENS |= {"token_type": "Bearer", "expires_in": 900}
SESSION = {
    "id": "5d1e7f0a-3c6b-4829-b0e4-d7f19a2c8653",
    "device_name": PHONE["device_name"],
    "user_agent": "okhttp/4.12.0",
    "created_at": MOMENT,
    "last_used_at": MOMENT,
    "current": True,
}
SESSION_ID = {"description": "the `id` of a session", "example": SESSION["id"]}
MAILED = "ZzN0aGVUb2tlbk9mVGhlTWFpbA"
RESET = {"token": MAILED, "new_password": NEW_PASSWORD}
NO_ADDRESS = {"email": ["Not a valid email address."]}
BAD_TOKEN = {"token": ["Unknown, used or too old; ask for a new one."]}
TOO_SHORT = {"password": ["Between 8 and 128 characters."]}
SIGNED_IN = {"signed_in": Example("The tokens and the user", TOKENS | {"user": USER})}
SHORTEST = {"shortest": Example("The least", ADA)}
USED = "This refresh token has been used before; the session has been ended."


def calls() -> dict[str, Call]:
    """By the name of the view."""
    registered = Example("With a name and a device", ADA | {"name": "Ada"} | PHONE)
    return {
        "register": Call(
            requests={"register": registered, **SHORTEST},
            answers=SIGNED_IN,
            problems={
                "email_taken": Problem(ADA),
                "validation_failed": Problem(ADA | {"password": "short"}, TOO_SHORT),
            },
        ),
        "login": Call(
            requests={"login": Example("On a phone", ADA | PHONE), **SHORTEST},
            answers=SIGNED_IN,
            problems={
                "invalid_credentials": Problem(ADA | {"password": NEW_PASSWORD}),
                "account_disabled": Problem(ADA),
                "validation_failed": Problem(ADA | {"email": "ada"}, NO_ADDRESS),
            },
        ),
        "refresh": Call(
            answers={"tokens": Example("A new pair", TOKENS)},
            problems={"token_revoked": Problem(detail=USED)},
        ),
        "logout": Call(),
        "logout_all": Call(),
        "list_sessions": Call(answers={"sessions": Example("One phone", [SESSION])}),
        "end_session": Call(path={"session_id": SESSION_ID}, problems={"not_found": Problem()}),
        "forgot_password": Call(
            requests={"forgot": Example("An address", {"email": ADA["email"]})},
            problems={"validation_failed": Problem({"email": "ada"}, NO_ADDRESS)},
        ),
        "reset_password": Call(
            requests={"reset": Example("With the mailed token", RESET)},
            problems={
                "account_disabled": Problem(RESET),
                "validation_failed": Problem(RESET | {"token": "unknown"}, BAD_TOKEN),
            },
        ),
        "verify_email": Call(
            requests={"verify": Example("With the mailed token", {"token": MAILED})},
            problems={"validation_failed": Problem({"token": "unknown"}, BAD_TOKEN)},
        ),
        "resend_verification": Call(),
    }
