"""Pull: the story in named steps. Knows no HTTP."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection, Engine

from melon_api import bulkheads, measures
from melon_api.auth.accounts import Caller
from melon_api.errors import ValidationFailed
from melon_api.storage.cache import Moment, cache
from melon_api.storage.transactions import retrying, snapshot, writing
from melon_api.sync.discovery import synced_tables
from melon_api.sync.remembered import Learned
from melon_api.sync.rules.walk import PullRequest, Walk
from melon_api.sync.spaces import atlas as settling
from melon_api.sync.spaces import parts
from melon_api.sync.spaces import pull as spaces
from melon_api.sync.sql import clock, delta_pull, first_pull
from melon_api.sync.sql.changes_text import ChangesText
from melon_api.sync.sql.clock import AccountClock
from melon_api.sync.sql.scope import DeltaQuery

# More rows than that wait for their turn: they take the database 20 ms, and row by row, as a page
# is read, us 15 ms.
LARGE, SMALL_PAGE = 5_000, 1_000
OVERTAKEN = {"cursor": ["Too old; pull again from the first page."]}


@dataclass(frozen=True)
class Page:
    """What a pull includes, to be closed when it is sent; `rest` is None on the last page.
    `learned` is to be remembered when the device has its answer, which need not wait for that."""

    changes: ChangesText
    walk: Walk
    rest: Walk | None = None
    learned: Learned | None = None
    atlas: settling.Atlas | None = None  # of an account with more spaces than its own
    is_settled: bool = True  # else its timestamp is to stand for what the atlas says


def pull(
    engine: Engine,
    caller: Caller,
    request: PullRequest,
    known: int | None,
    is_quick: bool = True,
) -> Page:
    """What has changed since `request.since`, or the next page of it (contract, Pull). `known` is
    the account's clock, as far as it is remembered (remembered.py). Not `is_quick`: `pull_few`
    has been tried.

    Raises ValidationFailed for a clock from the future, and for a cursor that was overtaken;
    ForeignClock for one from before the account; Unavailable when there is no room on the disk.
    """
    if request.walk is None and request.since == known:
        begun = Walk(request.since, known, request.replacement, request.migration)
        if begun.is_idle:
            return _measured(_nothing_new(begun))
    try:
        page = retrying(lambda: _read(engine, caller, request, known, is_quick))
    except _Large:
        large = partial(_read, engine, caller, request, known, False, has_turn=True)
        page = bulkheads.large_pulls.run_for(caller.user_id, lambda: retrying(large))
    if page:
        return _measured(page)
    retrying(lambda: _raise_clock(engine, caller, request.since))
    return pull(engine, caller, request, None)


def has_quick_way(engine: Engine) -> bool:
    """Whether `pull_few` answers anything on this database."""
    return delta_pull.writes_text(engine.dialect)


def pull_few(
    engine: Engine, caller: Caller, since: int, known: int | None, behind: ExitStack
) -> Page | None:
    """The usual pull: few news since `since`, with one statement, and in memory; None for another
    one, which is for `pull`. `behind`: what may wait for the answer to be on its way, the end of
    the snapshot. Raises ForeignClock, and Unavailable when there is no room on the disk."""
    as_of = cache().moment()
    connection = behind.enter_context(snapshot(engine))
    found = _read_few(connection, caller, PullRequest(since))
    if found is None:
        return None
    page = _with_learned(caller, found, known, as_of)
    if page.changes.is_on_disk:
        page.changes.close()
        return None
    return _measured(page)


class _Large(Exception):
    """A pull that is to wait for its turn, and holds no connection meanwhile."""


def _read(
    engine: Engine,
    caller: Caller,
    request: PullRequest,
    known: int | None,
    is_quick: bool,
    has_turn: bool = False,
) -> Page | None:
    """None for a device that is ahead of us. Raises _Large unless it `has_turn`."""
    as_of = cache().moment()
    with snapshot(engine) as connection:
        found = _read_few(connection, caller, request) if is_quick else None
        found = found or _read_any(connection, caller, request, has_turn)
    if found and found[1].atlas:
        return _settled(engine, found[1], found[1].atlas, as_of)
    if found and found[0].beyond:
        return found[1]  # a page that goes on
    return _with_learned(caller, found, known, as_of) if found else None


def _with_learned(
    caller: Caller, found: tuple[AccountClock, Page], known: int | None, as_of: Moment
) -> Page:
    account, page = found
    if account.value == known:
        return page
    return replace(page, learned=Learned(cache(), caller.user_id, account.value, as_of))


def _settled(engine: Engine, page: Page, atlas: settling.Atlas, as_of: Moment) -> Page:
    """With a timestamp that stands for what the page was read at, in all spaces."""

    def settle() -> tuple[int, bool]:
        with writing(engine) as connection:
            return settling.settle(connection, atlas)

    at, is_all = (page.walk.timestamp, True) if page.is_settled else retrying(settle)
    rest = page.rest and replace(page.rest, timestamp=at)
    learned = Learned(cache(), atlas.user_id, at, as_of, atlas.clocks) if is_all else None
    return replace(page, walk=replace(page.walk, timestamp=at), rest=rest, learned=learned)


def _measured(page: Page) -> Page:
    walk = page.walk
    kind = "incremental" if walk.since else "first"
    kind = "replacement" if walk.is_replacement else "idle" if walk.is_idle else kind
    measures.pulled(kind, page.changes.count, page.changes.counts)
    return page


def _nothing_new(walk: Walk) -> Page:
    """The answer to a device that has everything."""
    return Page(ChangesText(synced_tables()), walk)


def _read_few(
    connection: Connection, caller: Caller, request: PullRequest
) -> tuple[AccountClock, Page] | None:
    """The usual pull, the quick way; None for another one."""
    if not request.since or request.is_paged or request.replacement or request.migration.is_any:
        return None
    query = DeltaQuery(caller.user_id, caller.device, request.since)
    found = delta_pull.read_few(connection, synced_tables(), query)
    if found is None:
        return None
    account, records = found
    if account.beyond:
        return None
    walk = _begun(request, account)
    if walk.is_replacement or request.since > account.value:
        return None
    page = _nothing_new(walk)
    delta_pull.include_few(records, page.changes)
    return account, page


def _read_any(
    connection: Connection, caller: Caller, request: PullRequest, has_turn: bool
) -> tuple[AccountClock, Page] | None:
    """Any pull; None for a device that is ahead of us. Raises _Large unless it `has_turn`."""
    tables, size = synced_tables(), 0
    if has_turn or 0 < (request.limit or 0) <= SMALL_PAGE:
        account = clock.read(connection, caller.user_id)
    else:
        asked = request.walk or Walk(request.since, 0, request.replacement, request.migration)
        since = asked.since if asked.is_delta else 0
        account, size = clock.read_with_size(connection, tables, caller.user_id, since)
    if request.walk is None and request.since > account.value:
        return None
    if account.beyond:
        return account, _read_spaces(connection, caller, request, account)
    walk = _going_on(request.walk, account) if request.walk else _begun(request, account)
    if walk.is_idle:
        return account, _nothing_new(walk)
    if size > LARGE:
        raise _Large
    query, rest = DeltaQuery(caller.user_id, caller.device, walk.since), None
    with ChangesText.filled(tables) as changes:
        if request.is_paged:
            rest = delta_pull.read_page(connection, tables, query, walk, request.limit, changes)
        else:
            first_pull.read_whole(connection, tables, query, walk, changes)
    return account, Page(changes, walk, rest)


def _read_spaces(
    connection: Connection, caller: Caller, request: PullRequest, account: AccountClock
) -> Page:
    """A pull of an account that has to do with more spaces than its own."""
    tables, begun, walk = synced_tables(), None, request.walk or _begun(request, account)
    atlas = settling.read(connection, caller.user_id, account, walk.since)
    if request.walk:
        begun = settling.read(connection, caller.user_id, account, walk.timestamp)
        if parts.is_overtaken(atlas, walk, begun):
            raise ValidationFailed(OVERTAKEN)
    elif atlas.is_idle and walk.is_delta:
        return replace(_nothing_new(walk), atlas=atlas)
    else:
        walk = spaces.begin(connection, tables, atlas, walk)
    teller = spaces.Teller(connection, tables, atlas, caller.device, walk)
    with ChangesText.filled(tables) as changes:
        if atlas.is_alone and not request.is_paged:
            rest = teller.include_whole(changes, first_pull.read_whole)
        else:
            rest = teller.include(changes, request.limit, begun)
    if request.walk:
        return Page(changes, walk, rest)
    return Page(changes, walk, rest, None, atlas, settling.stands_for(connection, atlas))


def _begun(request: PullRequest, account: AccountClock) -> Walk:
    clock.check_given(account, request.since)
    is_stale = 0 < request.since < account.purged  # it may have missed a deletion (pull 7)
    is_replacement = is_stale or (request.replacement and request.since > 0)
    return Walk(request.since, account.value, is_replacement, request.migration)


def _going_on(walk: Walk, account: AccountClock) -> Walk:
    """A purge between two pages may have taken a deletion that the rest was to include."""
    if 0 < walk.since < account.purged and not walk.is_replacement:
        raise ValidationFailed(OVERTAKEN)
    return walk


def _raise_clock(engine: Engine, caller: Caller, since: int) -> None:
    """A device has seen a later clock than we have: we were restored from a backup (pull 1)."""
    with writing(engine) as connection:
        account = clock.lock(connection, caller.user_id)
        clock.check_ahead(account, since)
        if since > account.value:
            clock.write(connection, caller.user_id, since, account.run, has_news=False)
