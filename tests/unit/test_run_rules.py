"""A run knows less than a log of all pushes would, and nothing that is not so (contract push 7)."""

from dataclasses import dataclass, replace
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from melon_api.sync.rules.history import NOBODY, Run

FIRST = 10  # an account's clock when it is opened

Step = tuple[Literal["push", "lie", "raise", "release before"], int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["push", "push", "lie", "raise", "release before"]),
        st.integers(1, 3),  # a session
        st.integers(1, 4),  # how far the clock moves
    ),
    max_size=12,
)


@dataclass
class Log:
    """Of all pushes: (clock, session, as sent)."""

    rows: list[tuple[int, int, bool]]

    def is_up_to_date(self, session: int, since: int) -> bool:
        after = [(by, as_sent) for clock, by, as_sent in self.rows if clock > since]
        return all(by == session and as_sent for by, as_sent in after)


def played(history: list[Step]) -> tuple[Run, Log, int]:
    run, log, clock = Run(NOBODY, 0), Log([]), FIRST
    for kind, session, ticks in history:
        tick = clock + ticks
        if kind == "release before":  # moves the clock, and knows of no run
            run = Run(NOBODY, tick)
        elif kind == "raise":  # nobody pushed: it was restored, or a pull stands for more spaces
            run = replace(run, until=min(run.until, clock))
        else:
            run = run.after(session, clock, tick, as_sent=kind == "push")
        if kind != "raise":
            log.rows.append((tick, session, kind != "lie"))
        clock = tick
    return run, log, clock


@given(steps, st.integers(1, 3), st.integers(0, 60))
def test_a_run_never_says_more_than_a_log_of_all_pushes(
    history: list[Step], session: int, since: int
) -> None:
    run, log, _ = played(history)
    assert not run.covers(session, since) or log.is_up_to_date(session, since)


@given(steps, st.integers(1, 3), st.lists(st.integers(1, 4), max_size=4))
def test_it_says_as_much_to_a_session_that_pushes_alone(
    history: list[Step], session: int, more: list[int]
) -> None:
    """Since whatever it has pulled."""
    *_, pulled = played(history)
    run, log, _ = played([*history, *(("push", session, ticks) for ticks in more)])
    assert not more or run.covers(session, pulled)
    assert not more or log.is_up_to_date(session, pulled)


kinds = st.sampled_from(["push", "raise"])


@given(st.lists(st.tuples(kinds, st.integers(1, 3), st.integers(1, 4)), max_size=12))
def test_of_two_that_alternate_each_is_told_of_the_other_and_no_more(history: list[Step]) -> None:
    """Nobody is told to pull because the clock moved without a push."""
    run, log, clock = played(history)
    for since in range(clock + 1):
        for session in (1, 2, 3):
            is_covered = since >= clock or run.covers(session, since)
            assert is_covered == log.is_up_to_date(session, since)
