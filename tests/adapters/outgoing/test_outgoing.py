"""Which addresses requests are sent to: the one that is connected to decides, whatever a name said before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from oneself.adapters import outgoing
from oneself.adapters.identity_server.issuer_keys import IssuerKeys, KeySource
from oneself.adapters.outgoing import OutgoingPolicy, outgoing_policy
from oneself.adapters.webhook import WebhookClient, secret_of
from oneself.errors import DeliveryDeferred
from oneself.settings import Settings
from support.code_receiver import CodeReceiver

SECRET = secret_of(bytes(32))
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *map(str.lower, PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def receiver() -> Iterator[CodeReceiver]:
    receiver = CodeReceiver()
    yield receiver
    receiver.stop()


def policy_of(*words: str, **more: str) -> OutgoingPolicy:
    return outgoing_policy(Settings(outgoing_networks=words, **more))  # type: ignore[arg-type]


async def post(url: str, policy: OutgoingPolicy) -> None:
    client = WebhookClient(timeout_s=1.0, attempt_s=2.0, policy=policy)
    try:
        await client.post(url, (SECRET,), "one", b"{}")
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("kind", "addresses"),
    [
        ("public", "93.184.215.14 2606:2800:21f:cb07:6820:80da:af6b:8b2c ::ffff:93.184.215.14"),
        ("public", "64:ff9b::5db8:d70e"),
        ("private", "10.0.0.1 172.16.9.9 192.168.1.1 100.64.0.1 fd12::1 ::ffff:10.0.0.1 2002:a00:1::"),
        ("private", "64:ff9b::a00:1"),
        ("loopback", "127.0.0.1 127.255.0.1 ::1 ::ffff:127.0.0.1 ::7f00:1 2002:7f00:1:: 64:ff9b::7f00:1"),
        ("never", "169.254.169.254 169.254.0.1 fe80::1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe"),
        ("never", "0.0.0.0 :: 0.1.2.3 224.0.0.1 255.255.255.255 240.0.0.1 ff02::1 ::ffff:0.0.0.0"),
        ("never", "fd00:ec2::254 fd20:ce::254 100.100.100.200 192.0.0.192 168.63.129.16"),
        ("never", "2001::a9fe:a9fe ::a9fe:a9fe 2002:a9fe:a9fe::"),
    ],
)  # fmt: skip
def test_an_address_is_of_one_kind(kind: str, addresses: str) -> None:
    for address in addresses.split():
        for word in ("public", "private", "loopback"):
            assert policy_of(word).permits("host", 443, address) == (word == kind), (address, word)


def test_a_network_is_permitted_beside_the_words() -> None:
    policy = policy_of("public", "10.1.0.0/16", "fd12::/16")
    for address, is_permitted in {
        "10.1.2.3": True, "10.2.0.1": False, "fd12::1": True, "fd13::1": False, "127.0.0.1": False,
        "::ffff:10.1.2.3": True, "8.8.8.8": True,
    }.items():  # fmt: skip
        assert policy.permits("host", 443, address) == is_permitted, address
    everything = policy_of("0.0.0.0/0", "::/0")
    assert everything.permits("host", 443, "127.0.0.1")
    assert not everything.permits("host", 443, "169.254.169.254")


def test_the_identity_server_of_the_operator_is_permitted() -> None:
    policy = policy_of("public", identity_server_url="https://ID.internal:9443/x")
    assert policy.permits("id.internal", 9443, "10.0.0.1")
    assert not policy.permits("id.internal", 443, "10.0.0.1")
    assert not policy.permits("other.internal", 9443, "10.0.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1"])
async def test_nothing_is_sent_to_an_address_that_is_not_permitted(receiver: CodeReceiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    with pytest.raises(DeliveryDeferred, match="ONESELF_OUTGOING_NETWORKS does not permit") as failure:
        await post(url, policy_of("public", "private"))
    assert host not in failure.value.message
    assert receiver.received == []
    expected = "leads to an address that ONESELF_OUTGOING_NETWORKS does not permit"
    assert await policy_of("public", "private").problem(url) == expected
    await post(url, policy_of("loopback"))
    assert len(receiver.received) == 1
    assert await policy_of("loopback").problem(url) is None


async def test_a_name_that_changes_after_the_check_is_checked_again(
    receiver: CodeReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name leads to a public address when it is stored, and to this machine afterwards."""
    addresses: Sequence[str] = ["93.184.215.14"]

    async def find_addresses(host: str, port: int) -> list[str]:
        assert host == "crm.acme.example"
        return [*addresses]

    monkeypatch.setattr(outgoing, "find_addresses", find_addresses)
    url, policy = receiver.url.replace("127.0.0.1", "crm.acme.example"), policy_of("public")
    assert await policy.problem(url) is None
    addresses = ["127.0.0.1"]
    with pytest.raises(DeliveryDeferred, match="does not permit"):
        await post(url, policy)
    assert receiver.received == []
    addresses = ["169.254.169.254", "127.0.0.1"]
    await post(url, policy_of("loopback"))
    assert receiver.received[0].headers["host"].startswith("crm.acme.example:")
    assert await policy_of("loopback").problem(url) is not None, "one of its addresses is not permitted"


async def test_a_name_that_is_not_found_is_checked_when_something_is_sent() -> None:
    assert await policy_of("public").problem("https://missing.invalid/x") is None
    with pytest.raises(DeliveryDeferred, match="its name is unknown"):
        await post("http://missing.invalid/x", policy_of("public"))


async def test_a_proxy_of_the_environment_is_used(
    receiver: CodeReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks names up. Addresses in a URL are checked here."""
    monkeypatch.setenv("http_proxy", receiver.url.removesuffix("/codes"))
    await post("http://crm.acme.example/changes", policy_of("public"))
    assert receiver.received[0].path == "http://crm.acme.example/changes"
    for host in ("10.0.0.1", "[::ffff:169.254.169.254]"):
        with pytest.raises(DeliveryDeferred, match="does not permit"):
            await post(f"http://{host}/changes", policy_of("public"))
    assert len(receiver.received) == 1
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DeliveryDeferred, match="does not permit"):
        await post(receiver.url, policy_of("public"))


async def test_keys_of_an_issuer_are_read_from_permitted_addresses(receiver: CodeReceiver) -> None:
    keys = IssuerKeys(policy=policy_of("public"))
    assert await keys.find(KeySource(receiver.url, receiver.url), None, "RS256") == []
    assert receiver.received == []
    await keys.close()
