"""Phones that refresh, sign out and set passwords at the same moment, on a gunicorn with several
workers: no dead session works, and no living one breaks.

On each database, without Redis and with one that goes away in the middle and comes back. The rounds
are counted, and nothing is asserted about time.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest
from conftest import BACKENDS
from devices import created, project
from schedule import Schedule
from servers import PrivateRedis, serving
from sign_ins import (
    WORKERS,
    Answer,
    Person,
    SignIn,
    another_password,
    at_once,
    check_all_dead,
    is_refused,
    is_revoked,
    later,
)

ROUNDS = 6


@dataclass(frozen=True)
class Service:
    url: str
    redis: PrivateRedis | None

    def rounds(self, count: int = ROUNDS) -> Iterator[int]:
        """Redis is there for the first third of them. In the next sixths it has been killed; is
        back, and has forgotten; has been stopped; is back, with what it knew when it went."""
        sixths = ("start", "start", "kill", "start", "stop", "start")
        for turn in range(count):
            if self.redis:
                change = sixths[6 * turn // count]
                print(f"round {turn}, Redis: {change}")
                getattr(self.redis, change)()
            yield turn


@pytest.fixture(scope="module", params=BACKENDS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("sign-ins")
    database, _, redis = request.param.partition("+")
    with ExitStack() as stack:
        own = stack.enter_context(PrivateRedis(folder)) if redis else None
        settings = {"REDIS_URL": own.url} if own else {}
        server = stack.enter_context(serving(database, folder, WORKERS, **settings))
        yield Service(server.url, own)


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    yield running
    if running.redis:
        running.redis.thaw()
        running.redis.start()


def test_a_random_schedule_ends_what_was_ended_and_nothing_else(service: Service) -> None:
    """Contract, Accounts 3, 5 and 10: logouts, ended sessions, new passwords and refreshes, all at
    once."""
    schedule = Schedule(service.url, "a seed")
    for _ in service.rounds():
        schedule.play_round()
    schedule.check_the_end()


# refreshes


def test_a_phone_that_refreshes_twice_at_once_has_one_chain(service: Service) -> None:
    """Contract, Accounts 2: the same successor in all answers, and each access token works."""
    phone = Person(service.url).first
    for turn in service.rounds():
        answers = at_once(*[partial(phone.ask_refresh, phone.refresh_tokens[-1])] * 3)
        assert [status for status, _ in answers] == [200] * 3, answers
        assert len(phone.refresh_tokens) == turn + 2, "two successors of one token"
        used = at_once(*[partial(phone.ask_me, token) for token in phone.access_tokens[-3:]])
        assert [status for status, _ in used] == [200] * 3, used
    phone.check_works()


def test_a_token_of_two_generations_ago_ends_the_session(service: Service) -> None:
    """Contract, Accounts 2: theft; for every worker, and for this session only."""
    person = Person(service.url)
    for _ in service.rounds():
        phone = person.sign_in()
        phone.refresh()
        phone.refresh()
        assert is_revoked(phone.ask_refresh(phone.refresh_tokens[0]))
        phone.check_dead()
    person.first.check_works()


def test_a_thief_that_races_the_owner_ends_the_session(service: Service) -> None:
    """Contract, Accounts 2: whoever is first, the session is over for both."""
    person = Person(service.url)
    for _ in service.rounds():
        owner = person.sign_in()
        owner.refresh()
        owner.refresh()
        stolen = partial(owner.ask_refresh, owner.refresh_tokens[0])
        legitimate = partial(owner.ask_refresh, owner.refresh_tokens[-1])
        thief, *owners = at_once(stolen, legitimate, legitimate, owner.ask_me)
        assert is_revoked(thief), thief
        assert all(answer[0] == 200 or is_revoked(answer) for answer in owners), owners
        owner.check_dead()
    person.first.check_works()


def test_a_thief_and_the_owner_never_keep_one_session(service: Service) -> None:
    """Contract, Accounts 2: a stolen token is used while its owner goes on; whatever the thief is
    answered in the grace, its next use is a token of two generations ago."""
    person = Person(service.url)
    for _ in service.rounds():
        owner = person.sign_in()
        thief = owner.copy()
        owner.refresh()
        answers = at_once(owner.ask_refresh, thief.ask_refresh)
        answers += [owner.ask_refresh(), owner.ask_refresh()]
        assert all(answer[0] == 200 or is_revoked(answer) for answer in answers), answers
        assert is_revoked(thief.ask_refresh())
        thief.check_dead()
        owner.check_dead()
    person.first.check_works()


# the end of a session

Way = Callable[[SignIn, Person], Callable[[], Answer]]
WAYS: dict[str, Way] = {
    "logout": lambda phone, _: phone.ask_logout,
    "logout by refresh token": lambda phone, _: phone.ask_logout_by_refresh_token,
    "logout-all": lambda _, person: person.first.ask_logout_all,
    "another phone": lambda phone, person: partial(person.first.ask_end, phone.session_id()),
    "new password": lambda _, person: partial(person.ask_new_password, person.first),
    "deletion": lambda _, person: partial(person.first.ask_delete_account, person.password),
}


def test_a_session_that_ends_while_it_refreshes_is_dead(service: Service) -> None:
    """Contract, Accounts 5: whatever pair the refresh was answered, and whoever ended it."""
    for turn in service.rounds(2 * len(WAYS)):
        name = list(WAYS)[turn % len(WAYS)]
        person = Person(service.url)
        phone = person.sign_in()
        end = WAYS[name](phone, person)
        ended, *answers = at_once(end, phone.ask_refresh, phone.ask_refresh, phone.ask_me)
        assert ended[0] == 204, (name, ended)
        assert all(answer[0] == 200 or is_revoked(answer) for answer in answers), (name, answers)
        phone.check_dead()


# passwords


def test_a_new_password_ends_all_other_sessions(service: Service) -> None:
    """Contract, Accounts 10: every other device is signed out, also one that nobody has seen yet
    and that calls or refreshes just now."""
    chance = random.Random("a seed")
    for _ in service.rounds():
        person = Person(service.url)
        others, old = [person.sign_in() for _ in range(8)], person.password
        asking = [phone.ask_refresh for phone in others[:2]]
        asking += [phone.ask_me for phone in others[2:]]
        changed, *answers = at_once(
            partial(person.ask_new_password, person.first), *[later(chance, ask) for ask in asking]
        )
        assert changed[0] == 204, changed
        assert all(answer[0] == 200 or is_revoked(answer) for answer in answers), answers
        check_all_dead(*others)
        person.first.check_works()
        assert is_refused(person.ask_login(old))
        assert person.ask_login()[0] == 200


@pytest.mark.parametrize("phones", [1, 2])
def test_of_two_new_passwords_at_once_one_counts(service: Service, phones: int) -> None:
    """Contract, Accounts 8: `current_password` must be right at the moment of the change, so the
    second of one phone is 422, and that of another phone finds itself signed out, or 422."""
    for _ in service.rounds():
        person = Person(service.url)
        callers = [person.first, person.first if phones == 1 else person.sign_in()]
        wanted = [another_password(), another_password()]
        asking = [
            partial(phone.ask_new_password, person.password, new)
            for phone, new in zip(callers, wanted, strict=True)
        ]
        answers = at_once(*asking)
        assert sorted(status for status, _ in answers) in ([204, 401], [204, 422]), answers
        winner = [status for status, _ in answers].index(204)
        if phones == 2:
            check_all_dead(callers[1 - winner])
        callers[winner].refresh()
        assert is_refused(person.ask_login(person.password))
        assert is_refused(person.ask_login(wanted[1 - winner]))
        assert person.ask_login(wanted[winner])[0] == 200


def test_a_sign_in_with_the_old_password_does_not_survive_the_new_one(service: Service) -> None:
    """Contract, Accounts 10: it came before the change, which signs it out, or it is refused."""
    for _ in service.rounds(2 * ROUNDS):
        person = Person(service.url)
        login = partial(person.ask_login, person.password)
        changed, *answers = at_once(partial(person.ask_new_password, person.first), *[login] * 4)
        assert changed[0] == 204, changed
        assert all(answer[0] == 200 or is_refused(answer) for answer in answers), answers
        check_all_dead(*(SignIn(service.url, t) for status, t in answers if status == 200))


# the end of an account


def test_nothing_of_a_deleted_account_works(service: Service) -> None:
    """Contract, Accounts 12: the account and all its data are gone, whatever was under way."""
    for turn in service.rounds():
        person = Person(service.url)
        phones = [person.first, person.sign_in(), person.sign_in()]
        home = {"changes": {"projects": created(project(id="home"))}, "lastPulledAt": 0}
        deleted, signed_in, *answers = at_once(
            partial(phones[0].ask_delete_account, person.password),
            person.ask_login,
            phones[1].ask_refresh,
            phones[2].ask_refresh,
            partial(phones[1].ask, "POST", "/sync/push", home),
            partial(phones[2].ask, "PATCH", "/users/me", {"name": f"Ada {turn}"}),
            phones[2].ask_logout if turn % 2 else phones[2].ask_me,
        )
        assert deleted[0] == 204, deleted
        assert signed_in[0] == 200 or is_refused(signed_in), signed_in
        assert all(answer[0] in (200, 204) or is_revoked(answer) for answer in answers), answers
        if signed_in[0] == 200:
            phones.append(SignIn(service.url, signed_in[1]))
        check_all_dead(*phones)
        assert is_refused(person.ask_login())
        check_starts_empty(person)


def check_starts_empty(person: Person) -> None:
    """The address is free again, and nothing of the old account is in the new one."""
    status, tokens = person.ask_register()
    assert status == 201, tokens
    status, pulled = SignIn(person.url, tokens).ask("POST", "/sync/pull", {"lastPulledAt": None})
    assert status == 200, pulled
    assert pulled["changes"]["projects"]["created"] == []


def test_a_new_password_and_a_deletion_with_the_old_one_do_not_both_succeed(
    service: Service,
) -> None:
    """Contract, Accounts 8: the `password` of a deletion must be right at its moment."""
    for _ in service.rounds():
        person = Person(service.url)
        phone, old = person.sign_in(), person.password
        changed, deleted = at_once(
            partial(person.ask_new_password, person.first),
            partial(phone.ask_delete_account, old),
        )
        assert is_refused(person.ask_login(old))
        if deleted[0] == 204:
            assert is_revoked(changed), (changed, deleted)
            check_all_dead(person.first, phone)
        else:
            assert changed[0] == 204, (changed, deleted)
            assert is_revoked(deleted) or deleted[0] == 422, (changed, deleted)
            check_all_dead(phone)
            person.first.refresh()
            person.sign_in()


# Redis goes, and comes back

WITH_REDIS = pytest.mark.parametrize("running", ["mariadb+redis", "mysql+redis"], indirect=True)
GOING = {
    "frozen": (PrivateRedis.freeze, PrivateRedis.thaw),  # and does then what it was asked meanwhile
    "killed": (PrivateRedis.kill, PrivateRedis.start),  # and has forgotten
    "stopped": (PrivateRedis.stop, PrivateRedis.start),  # and has what it saved
}


@WITH_REDIS
@pytest.mark.parametrize("how", GOING)
def test_what_ended_while_redis_was_away_stays_ended(service: Service, how: str) -> None:
    """Contract, Accounts 5: sessions that Redis may have known as living before it went."""
    assert service.redis
    go, come_back = GOING[how]
    survivor, robbed = Person(service.url), Person(service.url).first
    people = {name: Person(service.url) for name in WAYS}
    phones = {name: person.sign_in() for name, person in people.items()}
    ends = {name: way(phones[name], people[name]) for name, way in WAYS.items()}
    robbed.refresh()
    for phone in (survivor.first, robbed, *phones.values()):
        phone.check_works()
    go(service.redis)
    used = at_once(*[phone.ask_me for phone in phones.values()])
    assert [status for status, _ in used] == [200] * len(phones), used
    for name, end in ends.items():
        assert end()[0] == 204, name
        assert is_revoked(phones[name].ask_me()), name
    assert is_revoked(robbed.ask_refresh(robbed.refresh_tokens[0]))
    newcomer = survivor.sign_in()
    newcomer.check_works()
    come_back(service.redis)
    for phone in (robbed, *phones.values()):
        phone.check_dead()
    newcomer.check_works()
    survivor.first.check_works()


@WITH_REDIS
def test_redis_may_come_and_go_at_any_moment(service: Service) -> None:
    """Contract, Accounts 5: some workers have noticed it, others have not."""
    assert service.redis
    chance, redis = random.Random("a seed"), service.redis
    changes = [redis.kill, redis.stop, redis.start, redis.start, lambda: None]
    dead = []
    for name in list(WAYS) * 3:
        person = Person(service.url)
        phone = person.sign_in()
        end = WAYS[name](phone, person)
        chance.choice(changes)()
        phone.check_works()
        chance.choice(changes)()
        assert end()[0] == 204, name
        chance.choice(changes)()
        phone.check_dead()
        dead.append(phone)
    redis.start()
    for phone in dead:
        assert is_revoked(phone.ask_me())
