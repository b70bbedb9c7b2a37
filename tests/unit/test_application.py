"""What Flask asks of each function of a request, asked quicker, is answered as Flask answers it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask

from melon_api.web.request import Application


def plain() -> str:
    return "plain"


async def coroutine() -> str:
    return "a coroutine"


class Called:
    def __call__(self) -> str:
        return "an object"

    def method(self) -> str:
        return "a method"

    async def slow_method(self) -> str:
        return "a method that is a coroutine"


SYNCHRONOUS = (plain, lambda: "", partial(plain), Called(), Called().method, len)


@pytest.mark.parametrize("function", SYNCHRONOUS, ids=range(len(SYNCHRONOUS)))
def test_what_is_no_coroutine_is_called_as_it_is(function: Callable[..., Any]) -> None:
    assert Application("an app").ensure_sync(function) is function


@pytest.mark.parametrize(
    "function", [coroutine, partial(coroutine), Called().slow_method], ids=range(3)
)
def test_a_coroutine_is_wrapped_by_flask(
    function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Flask, "async_to_sync", lambda _self, wrapped: ("wrapped", wrapped))
    assert Application("an app").ensure_sync(function) == ("wrapped", function)
