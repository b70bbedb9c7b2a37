"""Hashes that another server wrote: they let in whom it let in, and are ours after that."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import bcrypt
import pytest
from argon2.low_level import Type, hash_secret
from conftest import NO_DATABASE, ON_A_SERVER
from devices import API, PASSWORD, Account
from flask import Flask
from sqlalchemy import select, update

from melon_api.auth import passwords, service
from melon_api.auth.passwords import decoys, foreign
from melon_api.models.base import db
from melon_api.models.user import NO_PASSWORD, User

OURS = "$argon2id$v=19$m=64,t=1,p=1$"
MADE = {
    "bcrypt": lambda typed: bcrypt.hashpw(typed[:72], bcrypt.gensalt(4)).decode(),
    "bcrypt-2a": lambda typed: bcrypt.hashpw(typed[:72], bcrypt.gensalt(4, b"2a")).decode(),
    "php": lambda typed: bcrypt.hashpw(typed[:72], bcrypt.gensalt(4)).decode().replace("2b", "2y"),
    "argon2i": lambda typed: argon2(typed, Type.I),
    "argon2d": lambda typed: argon2(typed, Type.D),
    "argon2id": lambda typed: argon2(typed, Type.ID, memory=128, lanes=2),
    "argon2, first version": lambda typed: argon2(typed, Type.I, version=16),
    "argon2, unversioned": lambda typed: argon2(typed, Type.I, version=16).replace("$v=16", ""),
}


def argon2(
    typed: bytes, kind: Type, memory: int = 64, lanes: int = 1, version: int = 19, size: int = 32
) -> str:
    return hash_secret(typed, b"saltsalt", 1, memory, lanes, size, kind, version).decode()


def stored(account: Account) -> str:
    with account.app.app_context():
        query = select(User.password).where(User.id == account.user["id"])
        return str(db.session.scalar(query))


def give(account: Account, hashed: str) -> None:
    with account.app.app_context():
        mine = update(User).where(User.id == account.user["id"])
        db.session.execute(mine.values(password=foreign.accepted(hashed)))
        db.session.commit()


def login(account: Account, password: str = PASSWORD) -> int:
    body = {"email": account.email, "password": password}
    return account.app.test_client().post(f"{API}/auth/login", json=body).status_code


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_another_servers_hash_lets_in_and_is_renewed(account: Account, make: Any) -> None:
    """Contract, The server's own changes; Accounts 9."""
    hashed = make(PASSWORD.encode())
    give(account, hashed)
    assert login(account, "wrong-password") == 401
    assert stored(account) == hashed
    assert login(account) == 200
    assert stored(account).startswith(OURS)
    assert login(account) == 200 and login(account, "wrong-password") == 401


@pytest.mark.parametrize("make", [MADE["bcrypt"], MADE["argon2i"]], ids=["bcrypt", "argon2"])
def test_a_password_counts_as_it_was_typed(account: Account, make: Any) -> None:
    """The old server knew no NFKC; ours is in that form afterwards."""
    typed = "ﬁne-crème-brûlée"
    assert unicodedata.normalize("NFKC", typed) != typed
    give(account, make(typed.encode()))
    assert login(account, "fine-creme-brulee") == 401
    assert login(account, typed) == 200
    assert login(account, unicodedata.normalize("NFKC", typed)) == 200


def test_bcrypt_counts_72_bytes_as_it_did_there(account: Account) -> None:
    """And none is cut any more once the hash is ours."""
    long = "é" * 36 + "and more that was never looked at"
    give(account, MADE["bcrypt"](long.encode()))
    assert login(account, "é" * 35) == 401
    assert login(account, long) == 200
    assert login(account, "é" * 36) == 401


def test_a_hash_with_loose_bits_is_put_right(account: Account) -> None:
    """Some libraries left what does not count as it came."""
    salt = MADE["bcrypt"](PASSWORD.encode())[:28]
    hashed = bcrypt.hashpw(PASSWORD.encode(), f"{salt}O".encode()).decode()
    give(account, f"{hashed[:28]}P{hashed[29:]}")
    assert stored(account) == hashed
    assert login(account) == 200


def test_what_is_checked_elsewhere_takes_them_too(account: Account) -> None:
    give(account, MADE["bcrypt"](PASSWORD.encode()))
    body = {"current_password": PASSWORD, "new_password": "another-horse-battery"}
    answer = account.first.call("POST", "/users/me/password", json=body)
    assert answer.status_code == 204
    assert stored(account).startswith(OURS)


def test_without_a_password_nobody_signs_in(account: Account) -> None:
    with account.app.app_context():
        mine = update(User).where(User.id == account.user["id"])
        db.session.execute(mine.values(password=NO_PASSWORD))
        db.session.commit()
    for tried in (NO_PASSWORD, "", "x" * 5_000, PASSWORD):
        assert login(account, tried) == 401
    assert stored(account) == NO_PASSWORD


@pytest.mark.parametrize(
    ("hashed", "word"),
    [
        ("", "Neither"),
        ("correct-horse", "Neither"),
        ("5f4dcc3b5aa765d61d8327deb882cf99", "Neither"),
        ("$2x$04$" + "a" * 53, "Neither"),
        ("$2b$04$" + "a" * 52, "Neither"),
        ("$2b$04$" + "a" * 53 + "\n", "Neither"),
        ("$2b$03$" + "a" * 53, "cost of 03"),
        ("$2b$31$" + "a" * 53, "cost of 31"),
        ("$2b$15$" + "a" * 53, "cost of 15"),
        ("$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$" + "a" * 22, "m=4194304"),
        ("$argon2id$v=19$m=262144,t=5,p=1$c2FsdHNhbHQ$" + "a" * 22, "t=5"),
        ("$argon2id$v=19$m=64,t=999999999,p=1$c2FsdHNhbHQ$" + "a" * 22, "t=999999999"),
        ("$argon2id$v=19$m=65536,t=1,p=99$c2FsdHNhbHQ$" + "a" * 22, "p=99"),
        ("$argon2id$v=19$m=8,t=1,p=4$c2FsdHNhbHQ$" + "a" * 22, "No parameters"),
        ("$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$" + "a" * 22, "No parameters"),
        ("$argon2id$v=19$m=64,t=1,p=0$c2FsdHNhbHQ$" + "a" * 22, "No parameters"),
        ("$argon2id$v=19$m=064,t=1,p=1$c2FsdHNhbHQ$" + "A" * 22, "Neither"),
        ("$argon2id$v=19$m=64,t=01,p=1$c2FsdHNhbHQ$" + "A" * 22, "Neither"),
        ("$argon2id$v=18$m=64,t=1,p=1$c2FsdHNhbHQ$" + "a" * 22, "Neither"),
        ("$argon2id$v=19$m=64,t=1,p=1,keyid=a$c2FsdHNhbHQ$" + "a" * 22, "Neither"),
        ("$argon2id$v=19$m=64,t=1,p=1$c2Fsd$" + "a" * 22, "damaged"),
        ("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHR$" + "A" * 22, "damaged"),
        ("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAA", "too short"),
        ("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + "A" * 300, "255"),
        ("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$\N{ARABIC-INDIC DIGIT ONE}", "Neither"),
    ],
)
def test_what_is_no_hash_or_would_stop_a_worker_is_refused(hashed: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        foreign.accepted(hashed)


@ON_A_SERVER
def test_two_sign_ins_at_once_both_come_in(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that comes second finds another hash than it has checked."""
    give(account, MADE["bcrypt"](PASSWORD.encode()))
    both, original = Barrier(2), passwords.rehashed

    def rehashed(hashed: str, password: str) -> str | None:
        if foreign.is_bcrypt(hashed):
            both.wait(30)
        return original(hashed, password)

    monkeypatch.setattr(service.passwords, "rehashed", rehashed)
    with ThreadPoolExecutor(2) as people:
        assert list(people.map(lambda _: login(account), range(2))) == [200, 200]
    assert stored(account).startswith(OURS)


def test_a_password_that_is_changed_meanwhile_wins(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(account, MADE["bcrypt"](PASSWORD.encode()))
    changed, original = MADE["bcrypt"](b"another-horse-battery"), passwords.rehashed

    def rehashed(hashed: str, password: str) -> str | None:
        give(account, changed)
        return original(hashed, password)

    monkeypatch.setattr(service.passwords, "rehashed", rehashed)
    assert login(account) == 401
    assert stored(account) == changed


@NO_DATABASE
def test_unknown_addresses_are_as_slow_as_accounts(app: Flask) -> None:
    """Contract, Accounts 7: where half of the accounts are checked by bcrypt, so are half of the
    addresses that have none; each always in the same way."""
    letters = "234567abcdefghijklmnopqrstuvwxyz"
    for number, first in enumerate(letters):
        account = Account(app)
        with app.app_context():
            mine = update(User).where(User.id == account.user["id"])
            address = {"email": f"{first}@example.com"}
            hashed = {"password": MADE["bcrypt"](b"x")} if number % 2 else {}
            db.session.execute(mine.values(**address, **hashed))
            db.session.commit()
    with app.app_context(), db.engine.connect() as connection:

        def slow() -> list[bool]:
            names = (f"nobody{number}@example.com" for number in range(400))
            found = [decoys.stored_for(connection, name) for name in names]
            assert {(one.user_id, one.password) for one in found} == {(None, None)}
            return [foreign.is_bcrypt(one.decoy or "") for one in found]

        first = slow()
        assert 40 < sum(first) < 360
        assert slow() == first
