"""What `/docs` says of the calls of `/users`."""

from melon_api.auth.docs import ADA, NEW_PASSWORD, SESSION, USER, invalid
from melon_api.sync.docs import records
from melon_api.web.openapi.calls import Call, Example
from melon_api.web.openapi.problems import USUAL, Problem

NEW_ADDRESS = {"email": "ada.lovelace@example.com", "current_password": ADA["password"]}
CHANGE = {"current_password": ADA["password"], "new_password": NEW_PASSWORD}
WRONG = ["This is not the account's password."]
ME = {"user": Example("The caller", USER)}


def calls() -> dict[str, Call]:
    """By the name of the view."""
    return {
        "me": Call("getMe", "The caller's account. Times are in ISO 8601, UTC.", answers=ME),
        "change_me": Call(
            "updateMe",
            "Changes the name, the address or both; what is absent stays. A new address needs "
            "`current_password`; the old one is told, the new one is asked to be confirmed.",
            requests={
                "name": Example("Another name", {"name": "Ada"}),
                "email": Example("Another address", NEW_ADDRESS),
            },
            answers=ME,
            problems={
                "email_taken": Problem(USUAL["email_taken"].detail, request=NEW_ADDRESS),
                "validation_failed": invalid(
                    {"current_password": WRONG}, NEW_ADDRESS | {"current_password": "wrong"}
                ),
            },
        ),
        "delete_me": Call(
            "deleteMe",
            "Deletes the account and all its data, for good. Every phone is signed out.",
            requests={"delete": Example("With the password", {"password": ADA["password"]})},
            problems={"validation_failed": invalid({"password": WRONG}, {"password": "wrong"})},
        ),
        "change_password": Call(
            "changePassword",
            "Sets a new password; every other phone is signed out. A wrong `current_password` is "
            "422: a 401 would send the app to its refresh.",
            requests={"change": Example("A new password", CHANGE)},
            problems={
                "validation_failed": invalid(
                    {"current_password": WRONG}, CHANGE | {"current_password": "wrong"}
                )
            },
        ),
        "export": Call(
            "exportMe",
            "Everything that is stored of the caller, as a JSON download: the account, its "
            "sessions (those that have ended, too) and every record.",
            answers={
                "export": Example("All of it", {"user": USER, "sessions": [SESSION]} | records())
            },
        ),
    }
