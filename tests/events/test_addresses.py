"""No webhook leads to this machine or its network, whatever its address is spelled like."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest
from receiver import receiving

from melon_api.events.webhooks.addresses import NotPublic, addresses, is_public
from melon_api.events.webhooks.transport import post

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2002:101:101::1"]
NOT_PUBLIC = [
    *("127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3"),
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
    *("169.254.169.254", "198.18.0.1", "192.0.2.1", "203.0.113.9", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.0.192"),
    *("::", "::1", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "fec0::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:1.1.1.1", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1"),
    *("2001::1", "2001:0:7f00:1::1", "100::1"),
]
# As URLs have them; the system's own resolver reads them all as 127.0.0.1 or 10.0.0.1
SPELLINGS = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1"),
    *("0177.0.0.1", "017700000001", "localhost", "0", "10.1", "167772161", "012.0.0.1"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::]"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_ones_are_taken(address: str) -> None:
    assert is_public(ip_address(address))
    assert addresses(address, 443, loopback=False)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_others_are_not(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(NotPublic, match="which is not public"):
        addresses(address, 443, loopback=False)


@pytest.mark.parametrize("host", SPELLINGS)
def test_nor_by_another_spelling(host: str) -> None:
    with receiving() as receiver:
        url = f"https://{host}:{receiver.server_port}/"
        with pytest.raises(NotPublic):
            post(url, b"{}", {}, loopback=False)
    assert receiver.got == []


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "0.0.0.0", "fe80::1"])
def test_loopback_is_this_machine_alone(address: str) -> None:
    assert addresses("127.0.0.1", 80, loopback=True)
    with pytest.raises(NotPublic):
        addresses(address, 80, loopback=True)


@pytest.mark.parametrize("host", ["a..b", ".example.com", "a" * 64 + ".com"])
def test_what_is_no_name_is_an_error_of_the_network(host: str) -> None:
    """Which is told and tried again as such, with no traceback at each try."""
    with pytest.raises(OSError, match="is no name of a host"):
        post(f"https://{host}/", b"{}", {}, loopback=False)


def naming(patch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """What the name server says, one answer after the other; who was asked for."""
    asked: list[str] = []
    left = list(answers)

    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        kinds = (socket.AF_INET6 if ":" in one else socket.AF_INET for one in found)
        return [
            (kind, socket.SOCK_STREAM, 6, "", (one, port))
            for kind, one in zip(kinds, found, strict=True)
        ]

    patch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize("found", [["127.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["::ffff:127.0.0.1"]])
def test_a_name_that_leads_there_is_refused(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though one of its addresses is public."""
    naming(monkeypatch, found)
    with pytest.raises(NotPublic, match=r"rebind\.example is at"):
        post("https://rebind.example/", b"{}", {}, loopback=False)


def test_what_was_checked_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere at the second look is looked up once."""
    asked = naming(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    with receiving() as receiver:
        url = f"http://rebind.example:{receiver.server_port}/"
        assert post(url, b"{}", {}, loopback=True) == 204
    assert asked == ["rebind.example"]
    ((headers, _),) = receiver.got
    assert headers["host"] == f"rebind.example:{receiver.server_port}"


def test_without_tls_only_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    naming(monkeypatch, ["1.1.1.1"])
    with pytest.raises(NotPublic, match="https is needed"):
        post("http://public.example/", b"{}", {}, loopback=True)
    naming(monkeypatch, ["127.0.0.1"])
    with pytest.raises(NotPublic):
        post("http://public.example/", b"{}", {}, loopback=False)


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    naming(monkeypatch, ["127.0.0.2", "127.0.0.1"])  # nobody listens at the first
    with receiving() as receiver:
        assert post(f"http://two.example:{receiver.server_port}/", b"{}", {}, loopback=True) == 204
