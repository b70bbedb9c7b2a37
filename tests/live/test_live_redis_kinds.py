"""The live process hears of pushes through each kind of Redis that the web processes take, and
again when a master was lost."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from devices import created, project
from living import Live, Person, Phone, living
from redis_servers import Cluster, Watched, role, until
from servers import PrivateRedis, serving

from melon_api.storage.pokes import PREFIX, channel

PEOPLE = 9  # so that each of three masters has accounts
STRANGER = 7  # the number of a session that nobody has
LONG = 60  # s: it comes, however slow the machine is


@pytest.fixture(params=[Cluster, Watched])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster | Watched]:
    with request.param(tmp_path) as store:
        yield store


def test_it_hears_of_each_push(store: Cluster | Watched, tmp_path: Path) -> None:
    """Contract, Live 1 and 6."""
    with (
        serving("sqlite", tmp_path, workers=1, REDIS_URL=store.url) as server,
        living(server) as live,
    ):
        people = [Person(server) for _ in range(PEOPLE)]
        for person in people:
            is_told(person, live, masters(store))
        lost = masters(store)[0]
        lost.kill()
        wanted = 3 if isinstance(store, Cluster) else 1
        until(lambda: len(masters(store)) == wanted)
        for person in people:
            is_told(person, live, masters(store))


def masters(store: Cluster | Watched) -> list[PrivateRedis]:
    return [node for node in store.nodes if role(node) == "master"]


def is_told(person: Person, live: Live, nodes: list[PrivateRedis]) -> None:
    """The web process says its push to Redis, and the live process listens there: it tells of a
    word that the database knows nothing of, whichever node it was said to."""
    phone, tablet = person.first, person.phone()
    phone.pull()
    with phone.listen(live).head() as stream, redis.Redis.from_url(nodes[-1].url) as client:
        with closing(client.pubsub()) as heard:
            heard.subscribe(channel(person.id))
            until(lambda: heard.get_message(timeout=1) is not None)
            until(lambda: pushed(tablet) and is_said(heard))
        assert stream.news(LONG)
        for node in nodes:
            with redis.Redis.from_url(node.url) as other:
                until(lambda: said(other, person.id) and stream.news(0.5))


def pushed(phone: Phone) -> bool:
    phone.push(projects=created(project()))
    return True


def is_said(heard: Any) -> bool:
    """A word for which Redis was away is lost; the next one is not."""
    return (heard.get_message(timeout=1) or {}).get("type") == "message"


def said(client: redis.Redis, account: str) -> bool:
    """A clock far ahead, for which there is no commit."""
    client.publish(f"{PREFIX}{account}", f"{STRANGER} {time.time_ns() // 1000}")
    return True
