"""`make mutations` takes minutes, so it is run now and then; its places are looked for here."""

import ast

import pytest
from mutations import MUTATIONS, Mutation, place_of

from config import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_place_is_there_and_python_when_broken(mutation: Mutation) -> None:
    text = place_of(mutation).read_text()
    ast.parse(text.replace(mutation.was, mutation.now))
    assert mutation.was != mutation.now
    for file, _, test in (name.partition("::") for name in mutation.tests.split()):
        assert f"def {test}" in (ROOT / "tests" / "api" / f"{file}.py").read_text()
