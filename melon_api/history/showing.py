"""The history in words that a person who helps understands."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from melon_api.history.devices import Devices
from melon_api.history.entry import PULL, PUSH, Entry
from melon_api.users.devices import line

TOLD = {"first": "was told all", "replacement": "was told all anew"}
SENTENCE = (
    "The device sent these numbers itself, at that time. What it holds now, and which records"
    " differ, nobody can see from here."
)


def heads(devices: Devices) -> Iterator[str]:
    """A line for each device."""
    for session in devices.sessions.values():
        yield f"device  {session.id}  {line(session)}"


def calls(newest_first: Iterable[Entry], devices: Devices) -> list[str]:
    """A line for each call, the newest at the end. What a device was refused again and again, with
    nothing else between, is one."""
    kept: list[Entry] = []
    newest_of: dict[str, Entry] = {}  # by session, of those that came so far
    for entry in newest_first:
        after = newest_of.get(entry.session_id)
        if after and entry.likeness and entry.likeness == after.likeness:
            after.times += entry.times
            after.first_ms = entry.first_ms
        elif devices.name(entry.session_id) is not None:
            newest_of[entry.session_id] = entry
            kept.append(entry)
    return [_line(entry, devices) for entry in reversed(kept)]


def _line(entry: Entry, devices: Devices) -> str:
    more = f"  ({entry.times} times since {_moment(entry.first_ms)})" if entry.times > 1 else ""
    words = [_moment(entry.at_ms), devices.name(entry.session_id), entry.kind, _what(entry)]
    return "  ".join(str(word) for word in words) + f"{more}  request_id={entry.request_id}"


def _what(entry: Entry) -> str:
    facts, outcome = entry.facts, _outcome(entry)
    parts = [_counts(facts.get("tables", {}))]
    if count := facts.get("conflicts"):
        parts.append(f"{count} changed by another device, too")
    if count := facts.get("values_repaired"):
        parts.append(f"{count} values put right")
    if entry.status < 400:
        rejected = sorted(facts.get("rejected", {}).items())
        parts += [f"NOT STORED: {count} {code}" for code, count in rejected]
    if places := facts.get("places"):
        parts.append(f"at {', '.join(places)}")
    said = "; ".join(part for part in parts if part)
    return f"{outcome}: {said}" if said else outcome


def _outcome(entry: Entry) -> str:
    if entry.status >= 400:
        return f"REFUSED, {entry.status} {entry.code}"
    if entry.kind == PUSH:
        return "stored in part" if entry.facts.get("rejected") else "stored"
    if entry.kind == PULL:
        return TOLD.get(entry.facts.get("pull", ""), "was told")
    different = [name for name, of in _verified(entry).items() if not of[2]]
    if different:
        return f"DIFFERENT: {', '.join(different)}"
    return "the same" if _verified(entry) else "not compared: it had to pull first"


def _counts(tables: Mapping[str, Mapping[str, int]]) -> str:
    """`tasks 2 created, 1 deleted; projects 1 updated`."""
    told = (
        f"{name} {', '.join(f'{count} {what}' for what, count in lists.items())}"
        for name, lists in tables.items()
    )
    return "; ".join(told)


def differences(newest: Mapping[str, Entry], devices: Devices) -> Iterator[str]:
    """What each device said that it holds, beside what the server held then."""
    found = False
    for session_id, entry in newest.items():
        if (name := devices.name(session_id)) is None:
            continue
        found = True
        yield f"{name}  asked {_moment(entry.at_ms)} UTC"
        for table, (held, here, is_same) in _verified(entry).items():
            yield f"  {table}  {_difference(held, here, is_same)}"
        if not _verified(entry):
            yield "  not compared: something had changed, and it had to pull first"
    if found:
        yield SENTENCE
    else:
        yield "No device has asked; the app does it with verify (docs/verify.md)."


def _difference(held: int, here: int, is_same: bool) -> str:
    if is_same:
        return f"the same: {held} records"
    if held != here:
        return f"DIFFERENT: {held} records on the device, {here} on the server"
    return f"DIFFERENT: {held} records on each side, not with the same contents"


def _verified(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = entry.facts.get("verified", {})
    return found


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
