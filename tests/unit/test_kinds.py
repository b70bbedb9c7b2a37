"""What every kind of column promises, and what each one does alone (contract pull 4, push 5)."""

import json
import math
import zlib
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from melon_api.models.base import MOST_JSON_BYTES, JsonText
from melon_api.sync.rules import kinds
from melon_api.sync.rules.checksum import table_checksum
from melon_api.sync.rules.kinds import KINDS, app_type, kind_of
from melon_api.sync.rules.kinds.flag import Boolean
from melon_api.sync.rules.kinds.kind import Kind
from melon_api.sync.rules.kinds.numbers import Integer, Number
from melon_api.sync.rules.kinds.texts import NOT_JSON, Reference, String, Text, is_json
from melon_api.sync.rules.sanitize import explain, sanitize
from melon_api.sync.rules.tables import Column, SyncedTable
from tools.app_schema.classes import class_modules

MADE: list[Kind] = [Boolean(), Number(), Integer(16), Integer(32), Integer(64), String(9), Text(40)]
MADE += [kinds.JsonText(40), Reference(36)]
TEXTS = ["", " ", "null", "0", "[1, 2]", '{"a": 1}', "{a: 1}", "NaN", "[" * 20 + "]" * 20, "x" * 41]
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=50),
    st.sampled_from([*TEXTS, 2**15, -(2**15), 2**31, 2**53, 2**53 + 1, 2**63, 3.0, 1.5]),
    st.lists(st.integers(), max_size=1),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


def table_of(*columns: Column) -> SyncedTable:
    return SyncedTable("notes", "Note", cast(Any, None), columns, ())


@pytest.mark.parametrize("kind", MADE, ids=repr)
@given(value=values, optional=st.booleans())
def test_a_value_is_put_right_once_and_fits_or_is_explained(
    kind: Kind, value: Any, optional: bool
) -> None:
    """The quick answer, the slow one and that of the described schema are one."""
    empty = None if optional else kind.empty
    right = kind.put_right(empty)(value)
    assert kind.put_right(empty)(right) == right
    fits = kind.holds()(right)
    if kind.is_right()(value):
        assert fits and right == value and type(right) is type(value)
    assert (kind.explain(right) == []) is fits or right is None
    if not isinstance(kind, Number):  # whose field knows no digits
        try:
            kind.field(allow_none=optional).deserialize(right)
        except ValidationError:
            assert not fits
        else:
            assert fits


@pytest.mark.parametrize("kind", MADE, ids=repr)
def test_the_empty_value_and_the_sample_are_right(kind: Kind) -> None:
    for value in (kind.empty, kind.sample("some_column")):
        assert kind.put_right(None)(value) == value
        assert kind.holds()(value)
        assert isinstance(kind.checksum(value), bytes)
    assert kind.literal(kind.empty) in ("0", "0e0", "''")


def test_the_kinds_are_known_by_sqlalchemys_names() -> None:
    assert {name for kind in KINDS for name in kind.sql_types} == {
        *("Boolean", "Double", "SmallInteger", "Integer", "BigInteger"),
        *("String", "Text", "JsonText"),
    }
    assert kind_of(["VARCHAR", "String"], 9) == String(9)
    assert kind_of(["String"], None) is None  # it has no end, and MySQL wants one
    assert kind_of(["DateTime"], None) is None
    assert app_type(["NUMERIC", "Numeric"]) == "number"
    assert app_type(["DateTime"]) is None


@pytest.mark.parametrize("value", [1.5, 2**31, -(2**31) - 1, 1e300])
def test_an_integer_is_never_rounded(value: float) -> None:
    """A fraction is refused by name; a whole double is the whole number."""
    assert not Integer(32).holds()(Integer(32).put_right(0)(value))
    assert Integer(32).put_right(0)(3.0) == 3
    assert Integer(32).explain(1.5) == ["Not a valid integer."]


class TestJsonText:
    """What WatermelonDB's `@json` stores."""

    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
    def test_all_that_javascript_writes_is_taken(self, value: Any) -> None:
        sent = json.dumps(value if not _has_odd_number(value) else None)
        assert is_json(sent)
        assert sanitize(table_of(META), {"meta": sent}) == ({"meta": sent}, [], ())

    @pytest.mark.parametrize(
        "text", ['"\\ud83d"', '{"a": "\\udc00x"}', "1" * 5000, "1e999", " 1\n"]
    )
    def test_what_is_json_but_unusual_is_taken(self, text: str) -> None:
        """`JSON.stringify` escapes half an emoji; a refused record would never be stored."""
        assert is_json(text)

    @pytest.mark.parametrize(
        "text", [" ", "x", "{", "NaN", "[Infinity]", "{'a': 1}", "1 2", "undefined", "[" * 5000]
    )
    def test_a_text_that_is_no_json_is_refused(self, text: str) -> None:
        values, misfits, _ = sanitize(table_of(META), {"meta": text})
        assert (values, misfits) == ({"meta": text}, ["meta"])
        assert explain(table_of(META), values, misfits) == {"meta": [NOT_JSON]}

    @pytest.mark.parametrize("sent", [None, 1, True, {"a": 1}, [1]])
    def test_what_is_no_text_is_the_empty_value(self, sent: Any) -> None:
        values, misfits, repairs = sanitize(table_of(META), {"meta": sent})
        why = "null" if sent is None else "type"
        assert (values, misfits, repairs) == ({"meta": ""}, [], [("meta", why)])
        optional = table_of(Column("meta", kinds.JsonText(), optional=True))
        assert sanitize(optional, {"meta": sent})[0] == {"meta": None}

    def test_its_size_is_bounded_in_bytes_and_looked_at_first(self) -> None:
        whole, long = json.dumps("ü" * 19, ensure_ascii=False), json.dumps("ü" * 20)
        short = kinds.JsonText(40)
        assert short.holds()(whole)
        assert not short.holds()(long)
        assert short.explain("[" * 41)[0] == "Longer than maximum length 40 bytes."
        for length in (0, MOST_JSON_BYTES + 1):
            with pytest.raises(ValueError, match="bytes"):
                JsonText(length)

    def test_the_app_reads_it_as_an_object(self) -> None:
        """docs/app-schema.md: a string column, and `@json` in the model class."""
        (module, _index) = class_modules({"notes": table_of(META)})
        assert "@json('meta', (value) => value) meta!: any" in module.text()
        assert "/** JSON, at most 65535 bytes of UTF-8. */" in module.text()
        assert META.kind.app_type == "string"

    def test_its_checksum_is_that_of_its_text(self) -> None:
        expected = zlib.crc32(b'sa\0s{"b": 1}\0')
        assert table_checksum([{"id": "a", "meta": '{"b": 1}'}], [META]) == (1, expected)


META = Column("meta", kinds.JsonText(), optional=False)


def _has_odd_number(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_odd_number, value))
    return isinstance(value, float) and not math.isfinite(value)
