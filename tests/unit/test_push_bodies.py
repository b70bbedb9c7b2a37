"""A plain push body is read past Marshmallow; both ways must agree (sync/schemas)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melon_api.sync.requests import load_push, plain_push

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.dictionaries(st.text(max_size=5), st.lists(st.integers()), max_size=2),
)
names = st.sampled_from(["changes", "lastPulledAt", "allowPartial", "schemaVersion"])
bodies = st.one_of(
    st.dictionaries(names, values),
    st.fixed_dictionaries(
        {"changes": st.dictionaries(st.text(max_size=5), values, max_size=3)},
        optional={"lastPulledAt": values, "allowPartial": values},
    ),
)


@given(bodies)
def test_a_plain_body_is_read_as_the_schema_reads_it(body: dict[str, Any]) -> None:
    request = plain_push(body)
    assert request is None or request == load_push(body)


@pytest.mark.parametrize("more", [{}, {"allowPartial": True}, {"schemaVersion": 3}])
def test_what_the_stock_client_sends_is_plain(more: dict[str, Any]) -> None:
    body = {"changes": {"tasks": {"created": [{"id": "a"}]}}, "lastPulledAt": 1, **more}
    assert plain_push(body) is not None
