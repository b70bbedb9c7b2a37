"""Sanitizing is fast code beside the schemas that `/docs` shows: both must say the same."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melon_api.sync.discovery import synced_tables
from melon_api.sync.docs.schemas import record_schema
from melon_api.sync.rules.kinds.numbers import Number, as_javascript_writes
from melon_api.sync.rules.sanitize import changed_columns, explain, sanitize
from melon_api.sync.rules.tables import SyncedTable

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=300),
    st.sampled_from(["x" * 255, "x" * 256, "ü" * 32_767 + "x", "ü" * 32_768]),
    st.lists(st.integers(), max_size=1),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
names = st.sampled_from(
    sorted({c.name for t in synced_tables().values() for c in t.columns} | {"other", "id"})
)
tables = st.sampled_from(list(synced_tables().values()))


@given(table=tables, raw=st.dictionaries(names, scalars))
def test_fast_check_and_schema_agree(table: SyncedTable, raw: dict[str, Any]) -> None:
    values, misfits, _ = sanitize(table, raw)
    messages = record_schema(table, is_whole=False)().validate(values, partial=True)
    numbers = {c.name for c in table.columns if isinstance(c.kind, Number)}
    huge = {n for n in numbers & values.keys() if type(values[n]) is int and abs(values[n]) > 2**53}
    assert set(misfits) - huge == set(messages)
    assert set(explain(table, values, misfits)) == set(misfits)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_kept_as_javascript_writes_it(value: float) -> None:
    """Contract pull 4: returned exactly as the app pushed it."""
    table = synced_tables()["projects"]
    written = as_javascript_writes(value) if value.is_integer() else value
    values, misfits, _ = sanitize(table, {"created_at": written})
    assert (values["created_at"], misfits) == (value, [])
    assert float(written) == value


@given(st.floats(2.0**53, 1e21, exclude_max=True))
def test_the_digits_of_a_large_whole_number_are_understood(value: float) -> None:
    """Contract pull 4: JavaScript writes digits up to 1e21."""
    digits = int(Decimal(repr(value)))
    values, misfits, _ = sanitize(synced_tables()["projects"], {"created_at": digits})
    assert (values["created_at"], misfits) == (value, [])


@pytest.mark.parametrize("value", [2**53 + 1, -(2**60) - 1, 2**63 - 1])
def test_a_number_that_javascript_cannot_have_is_refused(value: int) -> None:
    """Contract push 5: never cut."""
    _, misfits, _ = sanitize(synced_tables()["projects"], {"created_at": value})
    assert misfits == ["created_at"]


@given(table=tables, raw=st.dictionaries(names, scalars))
def test_sanitizing_twice_changes_nothing(table: SyncedTable, raw: dict[str, Any]) -> None:
    values, _, repairs = sanitize(table, raw)
    again, _, more = sanitize(table, values)
    assert again == values
    assert not more
    assert repairs or all(raw[name] == value for name, value in values.items())
    assert all(not isinstance(v, float) or math.isfinite(v) for v in values.values())


@given(st.one_of(scalars, st.text("name,ids ", max_size=20)))
def test_changed_names_columns_of_the_table_only(changed: Any) -> None:
    table = synced_tables()["projects"]
    found = changed_columns(table, {"_changed": changed})
    assert found is not None
    assert found <= table.column_names
    assert changed_columns(table, {}) is None
