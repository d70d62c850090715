"""The networks that clients come from, which are counted together."""

from __future__ import annotations

from ipaddress import IPv6Network, ip_address

#: The IPv6 prefix of one household or office; a client can use any address within it.
IPV6_PREFIX_BITS = 64


def network_of(address: str) -> str:
    """The network of an IP address: an IPv4 address itself, the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), IPV6_PREFIX_BITS), strict=False))
