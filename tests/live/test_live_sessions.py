"""Who may listen, and for how long: the session, the token, the account."""

import os
import time
from pathlib import Path

import forks
import jwt
from devices import created, note_tokens, project
from living import Listener, Live, Person, Phone, living
from servers import KEPT, Server

from config import ROOT

pytest_plugins = ["live_fixtures"]

LONG = 10  # s: it comes, however slow the machine is
NEVER = 0.8  # s: long enough for what would come at once
LIFETIME = 5  # s, of a token
MAIL = {"SMTP_URL": "smtp://127.0.0.1:1", "MAIL_FROM": "melon@example.com"}


def short_lived(phone: Phone) -> str:
    """Its access token, as the server would have signed it some minutes ago."""
    key = Path(phone.server.environ["INSTANCE_PATH"], "jwt_secret_key").read_text()
    claims = jwt.decode(phone.token, key, algorithms=["HS256"])
    kid = {"kid": jwt.get_unverified_header(phone.token)["kid"]}
    token = jwt.encode(claims | {"exp": int(time.time()) + LIFETIME}, key, "HS256", kid)
    note_tokens(token)
    return token


def test_a_stream_outlives_its_access_token(live: Live, ada: Person) -> None:
    """Contract, Live 5: for as long as its session lives; nobody begins one with that token."""
    phone, tablet = ada.first, ada.phone()
    phone.pull()
    token, since = short_lived(phone), f"?since={phone.since}"
    with Listener(live, token, since).head() as stream:
        assert stream.status == 200
        deadline = time.monotonic() + LIFETIME + LONG
        while refusal(Listener(live, token, since)) != (401, "token_expired"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert not stream.ends(NEVER)
        tablet.push(projects=created(project()))
        assert stream.news(LONG)
        phone.call("POST", "/auth/logout")
        assert stream.ends(LONG)


def refusal(listener: Listener) -> tuple[int, str]:
    """An answer's status and code; of a stream, which has none, ''."""
    with listener.head() as answer:
        return answer.status, "" if answer.status == 200 else answer.body()["code"]


def test_a_disabled_accounts_stream_ends(live: Live, ada: Person) -> None:
    """Contract, Live 5 and 9: and begins no more, 403, until it is let in again."""
    eve = Person(ada.server)
    for person in (ada, eve):
        person.first.pull()
    with ada.first.listen(live).head() as stream, eve.first.listen(live).head() as other:
        flask(ada.server, "users", "deactivate", ada.email)
        assert stream.ends(LONG)
        assert not other.ends(NEVER)
    assert refusal(ada.first.listen(live)) == (403, "account_disabled")
    flask(ada.server, "users", "activate", ada.email)
    assert refusal(ada.first.listen(live)) == (200, "")


def flask(server: Server, *command: str) -> None:
    shell = {name: os.environ[name] for name in KEPT if name in os.environ}
    done = forks.run("flask", "--app", "wsgi", *command, cwd=ROOT, environ=shell | server.environ)
    assert done.returncode == 0, done.stderr


def test_an_address_that_must_be_confirmed_is_asked_for(server: Server, ada: Person) -> None:
    """Contract, Live 9: 403 with REQUIRE_VERIFIED_EMAIL, as under `/sync`."""
    with living(server, REQUIRE_VERIFIED_EMAIL="true", **MAIL) as live:
        assert refusal(ada.first.listen(live)) == (403, "email_not_verified")
