"""Where a name leads, checked: so none can lead to this machine or its network, whatever it is
spelled like and whenever it changes."""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 §2.4
# RFC 6890: global to older Pythons, and some cloud's own metadata are there
PROTOCOL_ASSIGNMENTS = IPv4Network("192.0.0.0/24")

Place = tuple[Any, ...]  # what `socket.socket` wants, and behind it what `connect` does


class NotPublic(OSError):
    """The host is at an address that is none of ours to ask."""


def addresses(host: str, port: int, *, loopback: bool) -> list[Place]:
    """Of each address of a host. Raises NotPublic where one of them is not public, OSError where
    there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # an empty label, or one of more than 63 letters
        raise OSError(f"{host} is no name of a host") from None
    for *_, place in found:
        address = ip_address(str(place[0]).partition("%")[0])
        if not (is_public(address) or (loopback and address.is_loopback)):
            raise NotPublic(f"{host} is at {address}, which is not public")
    return [(family, kind, number, place) for family, kind, number, _, place in found]


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is out in the internet, whichever IPv4 address an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        is_special = address.is_multicast or address in PROTOCOL_ASSIGNMENTS
        return address.is_global and not is_special
    within = address.sixtofour
    return address in GLOBAL_UNICAST and address.is_global and (within is None or is_public(within))
