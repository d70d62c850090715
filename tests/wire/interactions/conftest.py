"""Fixtures: datasets for the tests of the event wire, configured by REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wire.client import PERMISSIONS, Cds, fresh
from wire.interactions.client import Dataset

IDENTITY = frozenset({"internal_cds_identity_view", "internal_cds_identity_update"})

TYPES: dict[str, dict[str, Any]] = {
    "webId": {},
    "loyaltyId": {"case_sensitive": True},
    "phone": {"uniqueness": "Not Unique"},
    "crmKey": {"trusted_only": True},
    "accountNumber": {"conflict_blocks_merge": True},
    "memberNumber": {"blocked_values": ["12345", "Guest"]},
}
NAMES = (*TYPES, "emailAddress", "SecondaryEmail", "sfmcContactKey", "sfcrmContactId", "customerId")
CHANNELS = {"Web": "webId", "Server": "customerId", "Mobile": "customerId", "OpenTimeEmail": "emailAddress"}
USER_ATTRIBUTES = {"favColour": "string", "visits": "integer", "score": "decimal", "vip": "boolean"}

NewDataset = Callable[..., Dataset]


@pytest.fixture(scope="session")
def tenant(new_org: Callable[[], Cds]) -> Callable[[], Cds]:
    """Creates organisations with the identity types of these tests."""

    def make() -> Cds:
        org = new_org()
        org.permissions = PERMISSIONS | IDENTITY
        for type_id, options in TYPES.items():
            body = {"id": type_id, "label": type_id, "uniqueness": "Identity Namespace", **options}
            answer = org.admin("POST", "/identity-types", body)
            assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return org

    return make


@pytest.fixture(scope="session")
def shop(tenant: Callable[[], Cds]) -> Cds:
    """The organisation of the shared datasets."""
    return tenant()


def configure(
    org: Cds, name: str, names: tuple[str, ...] = NAMES, channels: dict[str, str] = CHANNELS
) -> Dataset:
    """Bind identity attributes named like their types, and set the identity of each channel."""
    bindings = [{"name": attribute, "identity_type": attribute} for attribute in names]
    for path, body in (("identity-attributes", bindings), ("channel-identities", channels)):
        answer = org.admin("PUT", f"/datasets/{name}/{path}", body)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
    return Dataset(org, name)


@pytest.fixture(scope="session")
def new_dataset(shop: Cds) -> NewDataset:
    """`new_dataset(org=shop, channels={…}, names=(…), **settings)`: an empty dataset, ready for events."""

    def make(
        org: Cds | None = None,
        channels: dict[str, str] = CHANNELS,
        names: tuple[str, ...] = NAMES,
        **settings: Any,
    ) -> Dataset:
        org, name = org or shop, fresh("web").replace("_", "")
        answer = org.admin("POST", "/datasets", {"name": name, "label": "Web", **settings})
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return configure(org, name, names, channels)

    return make


@pytest.fixture(scope="session")
def web(new_dataset: NewDataset) -> Dataset:
    """A dataset that the tests share; each test uses unique values."""
    return new_dataset()


@pytest.fixture(scope="session")
def replacing(new_dataset: NewDataset) -> Dataset:
    """A dataset where the newer value of the channel identity replaces the older one."""
    return new_dataset(channel_identity_conflict="replace")


@pytest.fixture(scope="session")
def default(shop: Cds) -> Dataset:
    """The dataset of the CDS wire, with user attributes in addition to the identities."""
    dataset = configure(shop, "default")
    for name, value_type in USER_ATTRIBUTES.items():
        shop.trait(value_type, key=name)
    return dataset


@pytest.fixture(scope="session")
def other_tenant(tenant: Callable[[], Cds], new_dataset: NewDataset, web: Dataset) -> Dataset:
    """A dataset of another organisation with the name of `web`."""
    org = tenant()
    answer = org.admin("POST", "/datasets", {"name": web.name, "label": "Web"})
    assert answer.status_code == 201, answer.text
    return configure(org, web.name)
