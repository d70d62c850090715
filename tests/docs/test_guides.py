"""The commands of the guides work as written, on a running service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from conftest import StartService
from support.service import RunningService
from wire.browser import CALLBACK, Browser, WebApplication, new_person, register

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guides"
SIGN_IN_APPLICATION = (
    f"oneself app create Shop --org acme --kind browser --client-id shop --redirect-uri {CALLBACK} "
    "-p internal_cds_profile_view"
)


def run_guide(guide: str, service: RunningService, folder: Path) -> str:
    """Run every `sh` block of a guide, in order. Returns the standard output."""
    return run("\necho\n".join(blocks(GUIDES / guide)), service, folder)


def blocks(page: Path) -> list[str]:
    """The `sh` blocks of a page."""
    return re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(commands: str, service: RunningService, folder: Path) -> str:
    """Run commands. Returns the standard output."""
    script = f"set -euo pipefail\n{commands}"
    script = script.replace("http://localhost:8700", service.base_url)
    script = script.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    completed = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "ONESELF_DATA_DIR": str(service.data_dir)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def test_the_first_steps_produce_the_output_they_describe(
    start_service: StartService, tmp_path: Path
) -> None:
    output = run_guide("first-steps.md", start_service(bootstrap=False), tmp_path)
    assert "client secret" in output
    assert '"traits.interests": [' in output, "each value is shown with its source"
    assert '"reason": "system:user_id_match"' in output
    read_back = output[output.rindex('"interests"') :]
    assert re.match(r'"interests": \[\s*"chess",\s*"go",\s*"tea"\s*\]', read_back)
    assert "entries fold to the same 2 profiles." in output


def test_the_readme_makes_one_person_of_one_address(start_service: StartService, tmp_path: Path) -> None:
    """Ann is in an event of a page before she registers with the same address, and in one after."""
    service = start_service(bootstrap=False)
    _, commands = blocks(ROOT / "README.md")
    started, commands = commands.split("\n", 1)
    assert started.startswith(".venv/bin/oneself serve ")
    told = run(commands, service, tmp_path)
    assert '"errorCode":0' in told
    event = f"curl {commands.rpartition('curl ')[2]}"
    run(f".venv/bin/{SIGN_IN_APPLICATION}", service, tmp_path)
    browser = Browser(service.base_url)
    shop = WebApplication(service.base_url, "acme", "shop", None, "openid internal_cds_profile_view")
    token = register(browser, shop, new_person("ann"))["access_token"]
    browser.close()
    me = httpx.get(
        f"{service.base_url}/t/acme/cds/api/v1/profiles/Me", headers={"Authorization": f"Bearer {token}"}
    ).json()
    assert me["identity_attributes"]["emailaddress"] == "ann@acme.example"
    first, again = json.loads(told[told.rindex('{"id"') :]), json.loads(run(event, service, tmp_path))
    assert again["resolvedUserId"] == first["resolvedUserId"]
    export = f".venv/bin/oneself person export {again['resolvedUserId']} --org acme --view all"
    assert me["user_id"] in run(export, service, tmp_path)


def test_a_backup_works_while_the_service_runs(start_service: StartService, tmp_path: Path) -> None:
    run_guide("production.md", start_service(), tmp_path)
    assert (tmp_path / "oneself.dump").read_bytes().startswith(b"PGDMP")


def test_the_commands_of_the_events_guide_work(start_service: StartService, tmp_path: Path) -> None:
    output = run_guide("send-events.md", start_service(bootstrap=False), tmp_path)
    lines = re.findall(r"^\{.*\}$", output.replace("}{", "}\n{"), re.MULTILINE)
    answers = [json.loads(line) for line in lines]
    assert [answer["errorCode"] for answer in answers] == [0] * 8
    *encodings, server_event, server_key_event, page_key_event, legacy_event = answers
    (user_id,) = {answer["resolvedUserId"] for answer in encodings}
    for answer in (server_event, server_key_event, page_key_event):
        assert answer["resolvedUserId"] == user_id
    assert set(server_event["eventDetails"]["identities"]) == {"webId", "emailAddress"}
    assert f"\n{user_id}\n" in output, "`oneself resolve` prints the user id"
    assert legacy_event["resolvedUserId"] == "ann"
    assert "Identity resolution is on in old." in output


def test_a_wrong_merge_is_undone_as_written(start_service: StartService, tmp_path: Path) -> None:
    service = start_service(bootstrap=False)
    commands = "\necho\n".join(["oneself org create acme", *blocks(GUIDES / "undo-a-wrong-merge.md")])
    output = run(re.sub(r"^oneself ", ".venv/bin/oneself ", commands, flags=re.MULTILINE), service, tmp_path)
    assert "It would leave these profiles: 2" in output
    assert "It left these profiles: 2" in output
    assert "It left these profiles: 1" in output
