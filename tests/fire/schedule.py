"""A random schedule of what the phones of one account do to their sessions, and to each other's."""

import itertools
import random
from collections.abc import Callable
from functools import partial

from sign_ins import Answer, Person, SignIn, at_once, is_revoked

PHONES, THREADS, ACTS = 4, 4, 3
NAMES = ["use"] * 5 + ["refresh"] * 5 + ["logout", "logout_by_refresh_token", "end"] * 2
NAMES += ["logout_all"]
NEW_PASSWORD = "new_password"


class Act:
    """A call with a phone's token; answered with success, it ends the sessions of `victims`."""

    def __init__(
        self, name: str, phone: SignIn, ask: Callable[[], Answer], *victims: SignIn
    ) -> None:
        self.name, self.phone, self.ask, self.victims = name, phone, ask, victims

    def run(self) -> None:
        self.was_ended = self.phone.ended
        self.answer = self.ask()
        if self.succeeded():
            for victim in self.victims:
                victim.ended = True

    def succeeded(self) -> bool:
        return self.answer[0] in (200, 204)

    def check(self) -> None:
        """When all answers of the round are in: the ended are refused, and nobody else is."""
        story = (self.name, "ended before" if self.was_ended else "", self.answer)
        if self.was_ended:
            assert is_revoked(self.answer), ("a dead session works", story)
        elif self.name == "end" and self.answer[0] == 404:
            assert all(victim.ended for victim in self.victims), ("it lives, and is 404", story)
        elif not self.succeeded():
            assert self.phone.ended, ("a living session breaks", story)
            assert is_revoked(self.answer), story


class Schedule:
    """The phones of one account, round by round; another account's phone must not notice."""

    def __init__(self, url: str, seed: str) -> None:
        self.chance = random.Random(seed)
        self.person = Person(url)
        self.neighbour = Person(url).first
        self.phones: list[SignIn] = []
        self.ids: dict[SignIn, str] = {}

    def play_round(self) -> None:
        self._sign_in_anew()
        scripts = self._scripts()
        rotations = {phone: len(phone.refresh_tokens) for phone in self.phones}
        at_once(*[partial(_run, script) for script in scripts], self.neighbour.check_works)
        for act in itertools.chain(*scripts):
            act.check()
        for phone in self.phones:
            assert len(phone.refresh_tokens) <= rotations[phone] + 1, "two successors of one token"
            if phone.ended:
                phone.check_dead()
            else:
                status, answer = phone.ask_me()
                assert status == 200, ("a living session breaks", answer)

    def check_the_end(self) -> None:
        for phone in (self.neighbour, *self.phones):
            if not phone.ended:
                phone.check_works()
        self.person.sign_in().check_works()

    def _sign_in_anew(self) -> None:
        self.phones = [phone for phone in self.phones if not phone.ended]
        new = [self.person.sign_in() for _ in range(PHONES - len(self.phones))]
        self.ids |= {phone: phone.session_id() for phone in new}
        self.phones += new

    def _scripts(self) -> list[list[Act]]:
        """What each thread does. Two passwords at once are another story: one at most."""
        names = [[self.chance.choice(NAMES) for _ in range(ACTS)] for _ in range(THREADS)]
        if self.chance.random() < 0.5:
            self.chance.choice(names)[self.chance.randrange(ACTS)] = NEW_PASSWORD
        # A phone that refreshes twice at once does so with one token.
        tokens = {phone: phone.refresh_tokens[-1] for phone in self.phones}
        return [[self._act(name, tokens) for name in script] for script in names]

    def _act(self, name: str, tokens: dict[SignIn, str]) -> Act:
        phone, other = self.chance.choice(self.phones), self.chance.choice(self.phones)
        match name:
            case "use":
                return Act(name, phone, phone.ask_me)
            case "refresh":
                return Act(name, phone, partial(phone.ask_refresh, tokens[phone]))
            case "logout":
                return Act(name, phone, phone.ask_logout, phone)
            case "logout_by_refresh_token":
                return Act(name, phone, phone.ask_logout_by_refresh_token, phone)
            case "end":
                return Act(name, phone, partial(phone.ask_end, self.ids[other]), other)
            case "logout_all":
                return Act(name, phone, phone.ask_logout_all, *self.phones)
        others = [one for one in self.phones if one is not phone]
        return Act(name, phone, partial(self.person.ask_new_password, phone), *others)


def _run(script: list[Act]) -> None:
    for act in script:
        act.run()
