"""`oneself resolve`: the primary id for identities, or one sentence."""

from __future__ import annotations

import json
import uuid

import httpx
import pytest

from support.service import RunningService

IDENTITY = ("internal_cds_identity_view", "internal_cds_identity_update")


@pytest.fixture(scope="module")
def dataset(service: RunningService) -> str:
    """A new dataset of `acme` with two identity attributes."""
    name = f"cli-{uuid.uuid4().hex[:8]}"
    with service.client(headers={"Authorization": f"Bearer {service.token(*IDENTITY)}"}) as client:
        base = f"/t/{service.org}/api/v1/datasets"
        assert client.post(base, json={"name": name}).status_code == 201
        bindings = [
            {"name": attribute, "identity_type": attribute} for attribute in ("emailAddress", "customerId")
        ]
        assert client.put(f"{base}/{name}/identity-attributes", json=bindings).status_code == 200
    return name


@pytest.fixture(scope="module")
def ann(service: RunningService, dataset: str) -> str:
    """The primary id of a profile with an e-mail address."""
    event = {"user": {"attributes": {"emailAddress": "ann@acme.example"}}, "interaction": {"name": "Sign up"}}
    answer = httpx.post(f"{service.base_url}/t/{service.org}/api2/event/{dataset}", json=event)
    return str(answer.json()["resolvedUserId"])


def test_the_primary_id_and_nothing_else_is_printed(service: RunningService, dataset: str, ann: str) -> None:
    resolve = ("resolve", "--org", service.org, "--dataset", dataset)
    result = service.command(*resolve, "emailAddress=ANN@acme.example")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{ann}\n", "")
    result = service.command(*resolve, "--json", "emailAddress=ann@acme.example", "customerId=c=1")
    facts = json.loads(result.stdout)
    assert (facts["primary_id"], facts["matched"]) == (ann, [ann])
    assert facts["profile_id"].replace("-", "").startswith(ann)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["emailAddress=bob@acme.example"], "No profile of this dataset"),
        (["--view", "proven", "emailAddress=ann@acme.example"], "No profile of this dataset"),
        (["--view", "everything", "emailAddress=x"], "own, proven or all"),
        (["mail=ann@acme.example"], "customerId, emailAddress"),
        (["ann@acme.example"], "NAME=VALUE"),
        (["--dataset", "nothing", "emailAddress=x"], "no dataset 'nothing'"),
        (["--org", "nobody", "emailAddress=x"], "no organisation 'nobody'"),
    ],
)
def test_no_match_is_one_sentence(
    service: RunningService, dataset: str, ann: str, arguments: list[str], sentence: str
) -> None:
    result = service.command("resolve", "--org", service.org, "--dataset", dataset, *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_resolve_without_an_identity_is_a_usage_error(service: RunningService) -> None:
    assert service.command("resolve", "--org", service.org).returncode == 2
