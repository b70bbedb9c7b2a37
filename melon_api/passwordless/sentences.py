"""What is said to people of a refusal; `/docs` quotes it. Data alone."""

BAD_CODE = "The code is wrong, used or too old; ask for another."
BAD_TOKEN = "The ID token is not one for this app, or too old."  # noqa: S105 - a sentence
NO_PROVIDER = "There is no such provider on this server."
NOT_LINKED = "No identity of this provider is linked."
HAS_ANOTHER = "The account has another identity of this provider."
NO_GUEST = "This account has a way in already."
NOT_THE_PASSWORD = "This is not the account's password."  # noqa: S105
NOT_THE_TOKEN = "This is no ID token of a linked identity, of the last 5 minutes."  # noqa: S105
NOT_THE_CODE = "This is not the newest code, or it is used or too old; ask for another."
MISSING = "Missing data for required field."
