"""The receiver of docs/your-code.md takes what is sent, and nothing else."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from own_tables_page import named_block
from werkzeug.serving import make_server

from melon_api.events import Event
from melon_api.events.webhooks.webhook import Webhook

PAGE = "your-code.md"


@contextmanager
def receiving(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/melon"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_takes_what_is_sent_and_nothing_else() -> None:
    block, made = named_block(PAGE, "receiver"), dict[str, Any]()
    (body,) = block.split("def melon")[1:]
    assert len(body.splitlines()) <= 10
    exec(block, made)
    event = Event("e1", "ada", 5, 1_700_000_000_000, 1, (), {"tasks": {"created": ["t"]}})
    with receiving(made["app"]) as url:
        for _ in range(2):
            Webhook(url, made["SECRET"], frozenset(), loopback=True).deliver(event)
        assert made["seen"] == {"e1": ["tasks"]}
        forged = urllib.request.Request(url, b"{}", {"webhook-id": "e2"})
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(forged, timeout=30)
        refused.value.close()
    assert made["seen"] == {"e1": ["tasks"]}
