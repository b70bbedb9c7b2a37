"""Two libraries hash passwords; each takes the other's hashes, and nobody sees which it was."""

import subprocess
import sys
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from nacl.pwhash import argon2id as libsodium

from melon_api.auth.passwords import argon2id
from melon_api.auth.passwords.argon2id import ONE_LANE, Argon2id

PASSWORDS = ("", "correct-Pferd-battery-9", "ein\0Loch", "\N{GRINNING FACE}" * 128, "x" * 5_000)
OTHERS = PasswordHasher(2, 64, 1)


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("password", PASSWORDS, ids=range(len(PASSWORDS)))
def test_a_hash_is_what_argon2_cffi_makes_of_it(password: str, lanes: int) -> None:
    hasher = Argon2id(3, 64, lanes)
    made = hasher.hash(password)
    assert made.startswith(f"$argon2id$v=19$m=64,t=3,p={lanes}$")
    assert made != hasher.hash(password)
    assert OTHERS.verify(made, password)
    assert hasher.verify(made, password)
    assert not hasher.is_outdated(made)
    assert _is_refused(hasher, made, f"{password}!")


@pytest.mark.parametrize("password", PASSWORDS, ids=range(len(PASSWORDS)))
def test_what_argon2_cffi_has_made_is_verified(password: str) -> None:
    made = OTHERS.hash(password)
    assert ONE_LANE.fullmatch(made)
    hasher = Argon2id(3, 128, 2)
    assert hasher.verify(made, password)
    assert hasher.is_outdated(made)
    assert _is_refused(hasher, made, f"{password}!")


@pytest.mark.parametrize(
    "unusual",
    [{"type": Type.I}, {"type": Type.D}, {"salt_len": 8}, {"salt_len": 32}, {"hash_len": 64}],
)
def test_hashes_that_others_made_otherwise_are_verified(unusual: dict[str, int]) -> None:
    made = PasswordHasher(2, 64, 1, **unusual).hash("brought along")  # type: ignore[arg-type]
    assert not ONE_LANE.fullmatch(made)
    hasher = Argon2id(2, 64, 1)
    assert hasher.verify(made, "brought along")
    assert _is_refused(hasher, made, "brought alone")


def test_of_a_hash_every_bit_counts() -> None:
    hasher = Argon2id(1, 8, 1)
    made = hasher.hash("every bit")
    front, digest = made[:-43], made[-43:]
    for place, letter in enumerate(digest):
        other = "A" if letter != "A" else "Q"
        changed = f"{front}{digest[:place]}{other}{digest[place + 1 :]}"
        assert not hasher.verify(changed, "every bit"), place


NOTHING = f"{'A' * 22}${'A' * 43}"
NO_HASHES = (
    "",
    f"$2b$12${'A' * 53}",
    f"$argon2id$v=19$m=7,t=1,p=1${NOTHING}",
    f"$argon2id$v=19$m=8,t=0,p=1${NOTHING}",
    f"$argon2id$v=19$m=8,t=1,p=1${NOTHING}\n",
)


@pytest.mark.parametrize("stored", NO_HASHES)
def test_what_is_no_hash_is_said_to_be_none(stored: str) -> None:
    with pytest.raises((InvalidHashError, VerificationError)):
        Argon2id(1, 8, 1).verify(stored, "whatever")


@pytest.mark.parametrize("lanes", [1, 2])
def test_an_unknown_address_costs_the_same_work(
    lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, Accounts 7: the same function of the same library, with the same parameters."""
    hasher, done = Argon2id(2, 64, lanes), []
    derive, verify = libsodium.kdf, PasswordHasher.verify

    def note_kdf(size: int, _password: bytes, salt: bytes, *costs: int) -> bytes:
        done.append(("libsodium", size, len(salt), costs))
        return derive(size, _password, salt, *costs)

    def note_verify(self: PasswordHasher, stored: str, password: str) -> bool:
        done.append(("argon2-cffi", *map(len, stored.split("$")), stored.split("$")[:4]))
        return bool(verify(self, stored, password))

    monkeypatch.setattr(argon2id.argon2id, "kdf", note_kdf)
    monkeypatch.setattr(PasswordHasher, "verify", note_verify)
    assert _is_refused(hasher, hasher.hash("of an account"), "wrong")
    assert _is_refused(hasher, hasher.nobodys(), "wrong")
    known, unknown = done
    assert known == unknown
    assert known[0] == ("libsodium" if lanes == 1 else "argon2-cffi")


ASK = """
import resource
from pathlib import Path
from melon_api.auth.passwords.argon2id import Argon2id

def kib(name):
    (line,) = (li for li in Path("/proc/self/status").read_text().splitlines() if name in li)
    return int(line.split()[1])

hasher = Argon2id(1, 262_144, 1)
more = {more} << 20
if more:
    most = (kib("VmSize") << 10) + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    print(hasher.verify(hasher.nobodys(), "a password"))
except Exception as error:
    print(type(error).__module__, type(error).__name__)
print(kib("VmHWM"), kib("VmRSS"))
"""
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@needs_linux
def test_without_memory_no_password_is_called_wrong() -> None:
    answer, _, _ = _asked(more_mib=128)
    assert answer == "nacl.exceptions RuntimeError"


@needs_linux
def test_a_hash_gives_its_memory_back() -> None:
    """256 MiB of it: what a worker keeps is no matter of who signs in."""
    answer, most, after = _asked()
    assert answer == "False"
    assert most > 256 << 10
    assert after < 128 << 10


def _asked(more_mib: int = 0) -> tuple[str, int, int]:
    """What a process says of a password, which may map so much more; its memory at most, and
    afterwards, in KiB."""
    command = [sys.executable, "-c", ASK.replace("{more}", str(more_mib))]
    folder = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    answer, kib = done.stdout.splitlines()
    most, after = map(int, kib.split())
    return answer, most, after


def _is_refused(hasher: Argon2id, stored: str, password: str) -> bool:
    try:
        return not hasher.verify(stored, password)
    except VerificationError:
        return True
