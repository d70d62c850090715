"""Which addresses requests may be sent to that an organisation has named: webhooks, issuers, identity
servers.

    public, private, loopback    words of ONESELF_OUTGOING_NETWORKS
    10.1.0.0/16                  networks of ONESELF_OUTGOING_NETWORKS
    never                        link-local addresses, metadata services of clouds, multicast, reserved ones

Invariants: the address that is connected to decides, not a name, because a name can change between check
and use. An IPv6 address that contains an IPv4 address counts as that one. A server that the operator has
named in a setting is permitted.

Source: docs/guides/production.md.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import urllib.request
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any, Literal
from urllib.parse import urlsplit

import httpcore
import httpx
import msgspec

from oneself.settings import Settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NetworkKind = Literal["public", "private", "loopback"]

SETTING = "ONESELF_OUTGOING_NETWORKS"
NAME_UNKNOWN = "the name was not found"
#: How long a name is looked up when a URL is stored. It is looked up again when something is sent.
LOOKUP_S = 2.0
_PORTS = {"http": 80, "https": 443}
#: Services for machines alone: link-local ones, and those that clouds have elsewhere (AWS, Google, Alibaba,
#: Oracle, Azure).
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128", "fe80::/10", "ff00::/8"),
            *("fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32", "192.0.0.192/32"),
            *("168.63.129.16/32", "2001::/32"),
        ),
    )
)
#: IPv6 networks whose addresses end with an IPv4 address: of NAT64, and of an early form of IPv6.
_WITH_IPV4 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))


class AddressNotPermitted(httpcore.ConnectError):
    """No address of a server is one that requests may be sent to."""


class OutgoingPolicy(msgspec.Struct, frozen=True):
    """What is permitted. `servers`: host and port of those that the operator has named."""

    kinds: frozenset[str] = frozenset({"public", "private", "loopback"})
    networks: tuple[Network, ...] = ()
    servers: frozenset[tuple[str, int]] = frozenset()

    def permits(self, host: str, port: int, address: str) -> bool:
        """Whether a request to a host may go to this address of it."""
        if (host.lower(), port) in self.servers:
            return True
        found = _plain(ipaddress.ip_address(address))
        kind = _kind(found)
        if kind is None:
            return False
        return kind in self.kinds or any(
            found in network for network in self.networks if network.version == found.version
        )

    async def problem(self, url: str) -> str | None:
        """Why nothing may be sent to a URL, to follow its name in a sentence; None: something may.

        A name that cannot be looked up now is permitted; it is checked when something is sent.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
        try:
            async with asyncio.timeout(LOOKUP_S):
                addresses = await find_addresses(host, port)
        except (OSError, TimeoutError, UnicodeError):
            return None
        if all(self.permits(host, port, address) for address in addresses):
            return None
        return f"leads to an address that {SETTING} does not permit"


def outgoing_policy(settings: Settings) -> OutgoingPolicy:
    """The policy of the deployment."""
    words = settings.outgoing_networks
    kinds = frozenset(word for word in words if "/" not in word)
    networks = tuple(ipaddress.ip_network(word) for word in words if "/" in word)
    named = urlsplit(settings.identity_server_url or "")
    servers = {(named.hostname, named.port or _PORTS.get(named.scheme, 443))} if named.hostname else set()
    return OutgoingPolicy(kinds, networks, frozenset(servers))


async def find_addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, without repetition. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class OutgoingTransport(httpx.AsyncBaseTransport):
    """Sends requests to permitted addresses alone.

    A proxy that the environment names is used, and looks names up itself; it has to know what is permitted.
    """

    def __init__(self, policy: OutgoingPolicy) -> None:
        self._policy = policy
        self._tls = httpx.create_ssl_context()
        self._direct = _direct_transport(policy, self._tls)
        self._proxies = {scheme: url for scheme, url in urllib.request.getproxies().items() if scheme != "no"}
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = self._proxy_of(request.url)
        if url is None:
            return await self._direct.handle_async_request(request)
        self._check_literal(request.url)
        if url not in self._proxied:
            self._proxied[url] = httpx.AsyncHTTPTransport(verify=self._tls, proxy=httpx.Proxy(url))
        return await self._proxied[url].handle_async_request(request)

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxied.values()):
            await transport.aclose()

    def _proxy_of(self, url: httpx.URL) -> str | None:
        found = self._proxies.get(url.scheme) or self._proxies.get("all")
        if not found or urllib.request.proxy_bypass(url.host):
            return None
        return found if "://" in found else f"http://{found}"

    def _check_literal(self, url: httpx.URL) -> None:
        try:
            address = str(ipaddress.ip_address(url.host))
        except ValueError:
            return
        if not self._policy.permits(url.host, url.port or _PORTS.get(url.scheme, 443), address):
            raise httpx.ConnectError("not permitted") from AddressNotPermitted()


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses of a host that are permitted, one after the other."""

    def __init__(self, policy: OutgoingPolicy) -> None:
        self._policy = policy
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await find_addresses(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name was not found in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(NAME_UNKNOWN) from error
        permitted = [address for address in addresses if self._policy.permits(host, port, address)]
        if not permitted:
            raise AddressNotPermitted("not permitted")
        for address in permitted[:-1]:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._backend.connect_tcp(permitted[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


def _direct_transport(policy: OutgoingPolicy, tls: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(verify=tls)
    # httpx has no parameter for the backend of its pool.
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=100,
        max_keepalive_connections=20,
        keepalive_expiry=5.0,
        network_backend=_CheckedBackend(policy),
    )
    return transport


def is_not_permitted(error: BaseException | None) -> bool:
    """Whether an error is that an address is not permitted."""
    while error is not None:
        if isinstance(error, AddressNotPermitted):
            return True
        error = error.__cause__
    return False


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An address, or the IPv4 address that it contains."""
    if isinstance(address, IPv4Address) or address == IPv6Address("::1"):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if int(address) and any(address in network for network in _WITH_IPV4):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _kind(address: IPv4Address | IPv6Address) -> NetworkKind | None:
    if any(address in network for network in _NEVER if network.version == address.version):
        return None
    if address.is_loopback:
        return "loopback"
    return "public" if address.is_global else "private"
