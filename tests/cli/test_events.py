"""`oneself events`: lists and follows the events of a dataset, beside a running service."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from conftest import StartService
from support.service import RunningService

IDENTITY = ("internal_cds_identity_view", "internal_cds_identity_update")
DEADLINE_S = 60.0
X, Y = "0123456789abcdef", "fedcba9876543210"


class WebDataset:
    """Creates a dataset of `acme` and sends events to it, as a web page does."""

    def __init__(self, service: RunningService) -> None:
        self.service, self.name = service, f"cli-{uuid.uuid4().hex[:8]}"
        with service.client(headers={"Authorization": f"Bearer {service.token(*IDENTITY)}"}) as client:
            base = f"/t/{service.org}/api/v1/datasets"
            assert client.post(base, json={"name": self.name}).status_code == 201
            bindings = [{"name": name, "identity_type": name} for name in ("emailAddress", "customerId")]
            answer = client.put(f"{base}/{self.name}/identity-attributes", json=bindings)
            assert answer.status_code == 200, answer.text

    def event(self, name: str, device: str | None = None, **attributes: str) -> None:
        event = {"user": {"anonymousId": device, "attributes": attributes}, "interaction": {"name": name}}
        url = f"{self.service.base_url}/t/{self.service.org}/api2/event/{self.name}"
        assert httpx.post(url, json=event).status_code == 200

    def arguments(self, *more: str) -> tuple[str, ...]:
        return ("events", "--org", self.service.org, "--dataset", self.name, *more)

    def lines_of(self, *more: str) -> list[str]:
        result = self.service.command(*self.arguments(*more))
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout.splitlines()


@pytest.fixture(scope="module")
def web(service: RunningService) -> WebDataset:
    dataset = WebDataset(service)
    dataset.event("View", X)
    dataset.event("View", Y)
    dataset.event("Sign up", X, emailAddress="ann@acme.example")
    dataset.event("Order", Y, customerId="c-1")
    dataset.event("Open", None, emailAddress="ann@acme.example", customerId="c-1")
    dataset.event("\x1b[31mred\nline", X, customerId="null")
    return dataset


@contextmanager
def following(web: WebDataset, *more: str) -> Iterator[tuple[subprocess.Popen[str], queue.Queue[str]]]:
    """`oneself events --follow` and a queue of the lines that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "oneself", *web.arguments("--follow", *more)],
        env=web.service._environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The children of a background shell ignore SIGINT; restore the default.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    lines, printed = queue.Queue[str](), process.stdout
    reader = threading.Thread(target=lambda: [lines.put(line.rstrip("\n")) for line in printed])
    reader.start()
    try:
        yield process, lines
    finally:
        process.kill()
        reader.join()
        process.communicate()


def test_a_line_names_the_event_its_effect_and_its_identities(web: WebDataset) -> None:
    lines = web.lines_of()
    assert len(lines) == 6
    assert [line.split("  ")[1].strip() for line in lines[:3]] == ["View", "View", "Sign up"]
    assert lines[0].endswith("  created")
    assert lines[2].endswith("  promoted; by emailAddress")
    assert lines[4].endswith("  merged 1; by emailAddress, customerId")
    assert lines[5].endswith("  attached; by customerId; refused blocked_value")
    assert r"\x1b[31mred\nline" in lines[5], "control characters are escaped"
    assert "ann@acme.example" not in "\n".join(lines)
    assert web.lines_of("--lines", "1") == lines[-1:]
    assert web.lines_of("--name", "Order", "-n", "5") == [lines[3]]
    assert web.lines_of("--name", "Nothing") == []


def test_json_prints_one_line_per_event(web: WebDataset) -> None:
    facts = [json.loads(line) for line in web.lines_of("--json", "--body")]
    assert [fact["name"] for fact in facts][:3] == ["View", "View", "Sign up"]
    assert facts[2]["body"]["user"]["attributes"] == {"emailAddress": "ann@acme.example"}
    assert facts[4]["decision"] == {"effect": "merged", "merged": 1, "refusals": []}
    assert facts[4]["identity_types"] == ["emailAddress", "customerId"]
    assert "body" not in json.loads(web.lines_of("--json", "-n", "1")[0])
    assert "ann@acme.example" in "\n".join(web.lines_of("--body"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["--dataset", "nothing"], "no dataset 'nothing'"), (["--org", "nobody"], "no organisation 'nobody'")],
)
def test_an_unknown_dataset_or_organisation_is_one_sentence(
    service: RunningService, arguments: list[str], sentence: str
) -> None:
    result = service.command("events", "--org", service.org, *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert sentence in result.stderr


@pytest.mark.parametrize("embedded", [False, True])
def test_follow_prints_new_events_until_it_is_interrupted(
    service: RunningService, start_service: StartService, embedded: bool
) -> None:
    """On a given database and on the embedded database of the running service."""
    web = WebDataset(start_service() if embedded else service)
    web.event("before", X)
    with following(web, "--json") as (process, lines):
        assert json.loads(lines.get(timeout=DEADLINE_S))["name"] == "before"
        for number in range(3):
            web.event(f"{number}", X)
        assert [json.loads(lines.get(timeout=DEADLINE_S))["name"] for _ in range(3)] == ["0", "1", "2"]
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert lines.empty()
    web.event("after", X)
    assert len(web.lines_of("--name", "after")) == 1, "the service still runs"
