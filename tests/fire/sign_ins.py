"""Phones that are signed in over real HTTP: what they ask, and whether their tokens work."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from devices import PASSWORD, new_id
from phones import call

T = TypeVar("T")
Answer = tuple[int, Any]
WORKERS = 3
ASKED_AT_ONCE = 4  # each on a new connection: in many rounds every worker gets some
LATEST_SECONDS = 0.03
_numbers = itertools.count(1)


def at_once(*jobs: Callable[[], T]) -> list[T]:
    """Run all, from the same moment on; what each returns."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(run, job) for job in jobs]]


def later(chance: random.Random, job: Callable[[], T]) -> Callable[[], T]:
    """The job a few ms from now: while what starts at once is under way."""
    seconds = chance.uniform(0, LATEST_SECONDS)

    def run() -> T:
        time.sleep(seconds)
        return job()

    return run


def ask(url: str, method: str, path: str, token: str | None = None, body: Any = None) -> Answer:
    """No race of people, and no Redis that is away, is a reason to answer 500 or 503."""
    status, answer = call(url, path, body, token, method)
    assert status < 500, (method, path, answer)
    return status, answer


def is_revoked(answer: Answer) -> bool:
    status, body = answer
    return status == 401 and body["code"] == "token_revoked"


def is_refused(answer: Answer) -> bool:
    """A sign-in with a wrong password, or to no account."""
    status, body = answer
    return status == 401 and body["code"] == "invalid_credentials"


def another_password() -> str:
    return f"{PASSWORD}-{next(_numbers)}"


class Person:
    """An account. `password` is the one that the last answer left it with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.email = f"person{next(_numbers)}.{new_id()}@example.com"
        self.password = PASSWORD
        status, answer = self.ask_register()
        assert status == 201, answer
        self.first = SignIn(url, answer)

    def ask_register(self) -> Answer:
        body = {"email": self.email, "password": self.password}
        return ask(self.url, "POST", "/auth/register", body=body)

    def ask_login(self, password: str | None = None) -> Answer:
        body = {"email": self.email, "password": password or self.password}
        return ask(self.url, "POST", "/auth/login", body=body)

    def sign_in(self) -> "SignIn":
        status, answer = self.ask_login()
        assert status == 200, answer
        return SignIn(self.url, answer)

    def ask_new_password(self, phone: "SignIn") -> Answer:
        new = another_password()
        answer = phone.ask_new_password(self.password, new)
        if answer[0] == 204:
            self.password = new
        return answer


class SignIn:
    """A phone's session: every token that it was ever answered, the newest last.

    `ended`: an answer has said so; from then on none of its tokens may work anywhere.
    """

    def __init__(self, url: str, tokens: dict[str, Any]) -> None:
        self.url = url
        self.access_tokens: list[str] = []
        self.refresh_tokens: list[str] = []
        self.ended = False
        self._keeping = threading.Lock()
        self._keep(tokens)

    def _keep(self, tokens: dict[str, Any]) -> None:
        with self._keeping:
            self.access_tokens.append(tokens["access_token"])
            if tokens["refresh_token"] not in self.refresh_tokens:
                self.refresh_tokens.append(tokens["refresh_token"])

    def copy(self) -> "SignIn":
        """What a thief of its tokens has."""
        access_token, refresh_token = self.access_tokens[-1], self.refresh_tokens[-1]
        return SignIn(self.url, {"access_token": access_token, "refresh_token": refresh_token})

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        return ask(self.url, method, path, self.access_tokens[-1], body)

    def ask_me(self, token: str | None = None) -> Answer:
        return ask(self.url, "GET", "/users/me", token or self.access_tokens[-1])

    def ask_refresh(self, token: str | None = None) -> Answer:
        """With the newest token, or an older one; what is answered is kept."""
        token = token or self.refresh_tokens[-1]
        status, answer = ask(self.url, "POST", "/auth/refresh", token)
        if status == 200:
            self._keep(answer)
        return status, answer

    def ask_logout(self) -> Answer:
        return self.ask("POST", "/auth/logout")

    def ask_logout_by_refresh_token(self) -> Answer:
        return ask(self.url, "POST", "/auth/logout", self.refresh_tokens[-1])

    def ask_logout_all(self) -> Answer:
        return self.ask("POST", "/auth/logout-all")

    def ask_end(self, session_id: str) -> Answer:
        return self.ask("DELETE", f"/auth/sessions/{session_id}")

    def ask_new_password(self, current: str, new: str) -> Answer:
        body = {"current_password": current, "new_password": new}
        return self.ask("POST", "/users/me/password", body)

    def ask_delete_account(self, password: str) -> Answer:
        return self.ask("DELETE", "/users/me", {"password": password})

    def session_id(self) -> str:
        status, sessions = self.ask("GET", "/auth/sessions")
        assert status == 200, sessions
        (own,) = (session["id"] for session in sessions if session["current"])
        return str(own)

    def refresh(self) -> None:
        status, answer = self.ask_refresh()
        assert status == 200, answer

    def check_works(self) -> None:
        """On any worker; and the chain goes on: a new pair, whose access token works."""
        answers = at_once(*[self.ask_me] * (ASKED_AT_ONCE - 1), self.ask_refresh)
        answers.append(self.ask_me())
        assert [status for status, _ in answers] == [200] * len(answers), answers

    def check_dead(self) -> None:
        """On any worker, the newest tokens and those before (contract, Accounts 2)."""
        calls = [("GET", "/users/me", token) for token in self.access_tokens[:-3:-1]]
        calls += [("POST", "/auth/refresh", token) for token in self.refresh_tokens[:-3:-1]]
        turns = itertools.islice(itertools.cycle(calls), ASKED_AT_ONCE)
        answers = at_once(*[partial(ask, self.url, *turn) for turn in turns])
        assert all(map(is_revoked, answers)), answers


def check_all_dead(*phones: SignIn) -> None:
    """The newest tokens of each."""
    calls = [call for phone in phones for call in (phone.ask_me, phone.ask_refresh)]
    answers = at_once(*calls) if calls else []
    assert all(map(is_revoked, answers)), answers
