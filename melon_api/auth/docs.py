"""What `/docs` says of the calls of `/auth`."""

from melon_api.web.openapi.calls import Call, Example
from melon_api.web.openapi.problems import USUAL, Problem

MOMENT = "2026-05-04T08:15:30.123000+00:00"
PHONE = {"device_name": "Ada's phone", "device_id": "3f6c1c2e-phone"}
NEW_PASSWORD = "nine purple elephants"  # noqa: S105 - an example
ADA = {"email": "ada@example.com", "password": "correct horse battery"}
USER = {
    "id": "0b8f5c2d-9e7a-4f13-a6d2-c8e4b1f09753",
    "email": ADA["email"],
    "name": "Ada",
    "is_active": True,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
TOKENS = {
    "access_token": "eyJhbGciOi…",
    "refresh_token": "eyJhbGciOi…",
    "token_type": "Bearer",
    "expires_in": 900,
}
SESSION = {
    "id": "5d1e7f0a-3c6b-4829-b0e4-d7f19a2c8653",
    "device_name": "Ada's phone",
    "user_agent": "okhttp/4.12.0",
    "created_at": MOMENT,
    "last_used_at": MOMENT,
    "current": True,
}
SESSION_ID = {
    "in": "path",
    "name": "session_id",
    "description": "the `id` of a session",
    "example": SESSION["id"],
}
MAILED = "ZzN0aGVUb2tlbk9mVGhlTWFpbA"
NO_ADDRESS = {"email": ["Not a valid email address."]}
BAD_TOKEN = {"token": ["Unknown, used or too old; ask for a new one."]}
SIGNED_IN = {"signed_in": Example("The tokens and the user", TOKENS | {"user": USER})}


def invalid(errors: object, request: object) -> Problem:
    """422 `validation_failed` for this request."""
    return Problem("Some of it is not valid.", errors, request)


CALLS = {
    "register": Call(
        "register",
        "Opens an account and signs the phone in with it. An address is unique regardless of case. "
        "A password has 8 to 128 characters, any Unicode, and is none of the most common ones. "
        "`device_id`, chosen by the app, tells that a later sign-in is the same phone with the "
        "same local database. A mail asks to confirm the address.",
        requests={
            "register": Example("With a name and a device", ADA | {"name": "Ada"} | PHONE),
            "shortest": Example("The least", ADA),
        },
        answers=SIGNED_IN,
        problems={
            "email_taken": Problem(USUAL["email_taken"].detail, request=ADA),
            "validation_failed": invalid(
                {"password": ["Between 8 and 128 characters."]}, ADA | {"password": "short"}
            ),
        },
    ),
    "login": Call(
        "login",
        "Signs a phone in; other phones of the account stay signed in. An unknown address and a "
        "wrong password answer alike, in body, status and time.",
        requests={
            "login": Example("On a phone", ADA | PHONE),
            "shortest": Example("The least", ADA),
        },
        answers=SIGNED_IN,
        problems={
            "invalid_credentials": Problem(
                USUAL["invalid_credentials"].detail, request=ADA | {"password": NEW_PASSWORD}
            ),
            "account_disabled": Problem(USUAL["account_disabled"].detail, request=ADA),
            "validation_failed": invalid(NO_ADDRESS, ADA | {"email": "ada"}),
        },
    ),
    "refresh": Call(
        "refresh",
        "Exchanges the refresh token, sent as bearer, for a new pair. A refresh token works once; "
        "its direct predecessor is answered with the same pair for 30 seconds, for a phone that "
        "lost the answer. The use of an older one ends the session.",
        answers={"tokens": Example("A new pair", TOKENS)},
        problems={
            "token_revoked": Problem(
                "This refresh token has been used before; the session has been ended."
            )
        },
    ),
    "logout": Call(
        "logout",
        "Signs this phone out, by its access or its refresh token; both stop working at once.",
    ),
    "logout_all": Call("logoutAll", "Signs every phone of the account out, this one too, at once."),
    "sessions": Call(
        "listSessions",
        "The phones that are signed in, each of them one session; `current` is the one that asks.",
        answers={"sessions": Example("One phone", [SESSION])},
    ),
    "end_session": Call(
        "endSession",
        "Signs one phone out, as `GET /auth/sessions` names it. 404 for a session that is not the "
        "caller's, or has ended.",
        problems={"not_found": USUAL["not_found"]},
    ),
    "forgot_password": Call(
        "forgotPassword",
        "Mails a token to set a new password, if there is such an account. The answer is 202 "
        "whether or not there is.",
        requests={"forgot": Example("An address", {"email": ADA["email"]})},
        answers={"accepted": Example("Always", None)},
        problems={"validation_failed": invalid(NO_ADDRESS, {"email": "ada"})},
    ),
    "reset_password": Call(
        "resetPassword",
        "Sets a new password by the mailed token: once, within 30 minutes. Every phone is signed "
        "out.",
        requests={
            "reset": Example(
                "With the mailed token", {"token": MAILED, "new_password": NEW_PASSWORD}
            )
        },
        problems={
            "account_disabled": Problem(
                USUAL["account_disabled"].detail,
                request={"token": MAILED, "new_password": NEW_PASSWORD},
            ),
            "validation_failed": invalid(
                BAD_TOKEN, {"token": "unknown", "new_password": NEW_PASSWORD}
            ),
        },
    ),
    "verify_email": Call(
        "verifyEmail",
        "Confirms an address by the mailed token, within 3 days. A second time is fine, too: the "
        "first answer may have been lost.",
        requests={"verify": Example("With the mailed token", {"token": MAILED})},
        problems={"validation_failed": invalid(BAD_TOKEN, {"token": "unknown"})},
    ),
    "resend_verification": Call(
        "resendVerification",
        "Mails another token to confirm the caller's address; nothing where that is done.",
        answers={"accepted": Example("Always", None)},
    ),
}
