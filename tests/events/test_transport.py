"""How a webhook gets there: with TLS, an end, and nothing in between."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority
from receiver import Handler, Receiver, receiving

from melon_api.events.webhooks import transport
from melon_api.events.webhooks.transport import post


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_over_tls_with_a_certificate_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    with receiving(authority.certificate("127.0.0.1")) as receiver:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            post(receiver.url, b"{}", {}, loopback=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
        assert post(receiver.url, b"{}", {}, loopback=True) == 204
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):  # it is not localhost's
            post(receiver.url.replace("127.0.0.1", "localhost"), b"{}", {}, loopback=True)
    assert len(receiver.got) == 1


def drip(handler: Handler) -> None:
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def say_nothing(handler: Handler) -> None:
    handler.server.over.wait()


@pytest.mark.parametrize("answer", [drip, say_nothing])
@pytest.mark.parametrize("is_tls", [False, True])
def test_who_answers_too_late_is_cut_off(
    answer: Callable[[Handler], None],
    is_tls: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """However busy it is meanwhile."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    monkeypatch.setattr(transport, "SECONDS", 0.5)
    with receiving(authority.certificate("127.0.0.1") if is_tls else None) as receiver:
        receiver.answers = [answer]
        with pytest.raises(TimeoutError, match="no answer within"):
            post(receiver.url, b"{}", {}, loopback=True)


def flood(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 60_000 + b"\r\n")
    handler.wfile.write(b"B: " + b"x" * 60_000 + b"\r\n\r\n")


def ramble(handler: Handler) -> None:
    handler.wfile.write(b"I speak no HTTP\r\n\r\n")


def test_of_an_answer_64_kb_are_read(receiver: Receiver) -> None:
    receiver.answers = [flood]
    with pytest.raises(OSError, match="more than 65536 bytes"):
        post(receiver.url, b"{}", {}, loopback=True)
    receiver.answers = [ramble]
    with pytest.raises(Exception, match="I speak no HTTP"):
        post(receiver.url, b"{}", {}, loopback=True)


def test_nothing_redirects_and_no_proxy_is_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    receiver.answers = [307]
    assert post(receiver.url, b"{}", {}, loopback=True) == 307
    assert len(receiver.got) == 1
