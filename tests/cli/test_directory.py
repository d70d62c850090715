"""`oneself org`, `app`, `user` and `console-user`, beside a running service."""

from __future__ import annotations

import json

import httpx
import pytest

from support.service import RunningService
from support.visitor import CALLBACK

GROUPS = {
    "org": [
        *("create", "list", "show", "change", "rotate-keys"),
        *("set-code-webhook", "delete-code-webhook"),
    ],
    "app": ["create", "list", "show", "delete", "rotate-secret", "permissions"],
    "user": ["create", "list", "show", "delete", "set-password"],
    "console-user": ["create", "list", "role", "password", "delete"],
}


def _token_status(service: RunningService, org: str, client_id: str, secret: str) -> int:
    return httpx.post(
        f"{service.base_url}/t/{org}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(client_id, secret),
        timeout=30,
    ).status_code


@pytest.mark.parametrize("group", GROUPS)
def test_help_lists_every_command_of_the_group(service: RunningService, group: str) -> None:
    printed = service.command(group, "--help").stdout
    for command in GROUPS[group]:
        assert command in printed


def test_create_show_and_rotate_the_keys_of_an_organisation(service: RunningService) -> None:
    created = service.command("org", "create", "books", "--name", "The Book Shop", "--json")
    facts = json.loads(created.stdout)
    assert _token_status(service, "books", facts["client_id"], facts["client_secret"]) == 200
    assert "books" in service.command("org", "list").stdout
    shown = json.loads(service.command("org", "show", "books", "--json").stdout)
    assert shown["cds_enabled"] is True
    assert shown["system_applications"] == [facts["client_id"]]
    assert shown["address"].endswith("/t/books")
    change = ("org", "change", "books", "--email-verified-by")
    changed = service.command(*change, "provider", "--mobile-verified-by", "none", "--json")
    sources = {"email_verified_by": ["provider"], "mobile_verified_by": []}
    assert json.loads(changed.stdout) == {
        "organisation": "books",
        "verified_address_first": False,
        **sources,
    }
    reread = json.loads(service.command("org", "show", "books", "--json").stdout)
    assert {name: reread[name] for name in sources} == sources
    assert "mail, provider, administrator" in service.command(*change, "code").stderr
    rotated = json.loads(service.command("org", "rotate-keys", "books", "--json").stdout)
    assert rotated["signing_key"] != shown["signing_key"]
    second = service.command("org", "create", "books")
    assert (second.returncode, second.stdout) == (1, "")
    assert "already" in second.stderr


def test_console_users_get_roles_and_lose_them(service: RunningService) -> None:
    created = service.command(
        "console-user", "create", "eve", "--role", "analyst", "--org", service.org, "--json"
    )
    facts = json.loads(created.stdout)
    assert (facts["role"], facts["address"][-9:], len(facts["password"])) == ("analyst", "/console/", 43)
    role = service.command("console-user", "role", "eve", "privacy-officer", "--org", service.org)
    assert role.returncode == 0, role.stderr
    shown = json.loads(service.command("org", "show", service.org, "--json").stdout)
    assert shown["console_users"] == {"admin": "administrator", "eve": "privacy_officer"}
    listed = json.loads(service.command("console-user", "list", "--json").stdout)["console_users"]
    assert {"eve": {service.org: "privacy-officer"}}.items() <= {
        user["console_user"]: user["roles"] for user in listed
    }.items()
    assert "eve" in service.command("console-user", "list").stdout
    again = service.command(
        "console-user", "create", "eve", "--password", "a good password", "--org", service.org
    )
    assert "already" in again.stderr
    short = service.command("console-user", "password", "eve", "--password", "short")
    assert (short.returncode, "characters" in short.stderr) == (1, True)
    assert service.command("console-user", "role", "eve", "none", "--org", service.org).returncode == 0
    assert service.command("console-user", "delete", "eve", "--yes").returncode == 0
    assert "no console user" in service.command("console-user", "delete", "eve", "--yes").stderr


def test_set_show_and_delete_the_webhook_of_an_organisation(service: RunningService) -> None:
    url = "https://codes.example/oneself"
    first = json.loads(service.command("org", "set-code-webhook", service.org, url, "--json").stdout)
    assert (first["url"], first["secret"][:6]) == (url, "whsec_")
    again = service.command("org", "set-code-webhook", service.org, f"{url}/v2")
    assert again.returncode == 0
    assert "whsec_" not in again.stdout, "the secret is shown once"
    shown = json.loads(service.command("org", "show", service.org, "--json").stdout)
    assert shown["code_webhook"] == f"{url}/v2"
    refused = service.command("org", "set-code-webhook", service.org, "http://codes.example")
    assert refused.returncode == 1
    assert "must begin with https://" in refused.stderr
    deleted = service.command("org", "delete-code-webhook", service.org, "--yes")
    assert deleted.returncode == 0, deleted.stderr
    assert service.command("org", "delete-code-webhook", service.org, "--yes").returncode == 1
    assert json.loads(service.command("org", "show", service.org, "--json").stdout)["code_webhook"] is None


def test_create_show_rotate_and_delete_an_application(service: RunningService) -> None:
    created = service.command(
        *("app", "create", "CRM", "--org", service.org, "-p", "internal_cds_profile_view", "--json")
    )
    facts = json.loads(created.stdout)
    client_id, secret = facts["client_id"], facts["client_secret"]
    assert _token_status(service, service.org, client_id, secret) == 200
    shown = service.command("app", "show", client_id, "--org", service.org).stdout
    assert secret not in shown
    assert "internal_cds_profile_view" in shown
    assert client_id in service.command("app", "list", "--org", service.org).stdout
    rotated = service.command("app", "rotate-secret", client_id, "--org", service.org, "--json")
    new_secret = json.loads(rotated.stdout)["client_secret"]
    assert _token_status(service, service.org, client_id, secret) == 401
    assert _token_status(service, service.org, client_id, new_secret) == 200
    deleted = service.command("app", "delete", client_id, "--org", service.org, "--yes")
    assert deleted.returncode == 0
    assert _token_status(service, service.org, client_id, new_secret) == 401


def test_create_show_and_delete_a_user(service: RunningService) -> None:
    created = service.command(
        *("user", "create", "Bea@acme.example", "--given-name", "Bea", "--last-name", "Bright"),
        *("--org", service.org, "--json"),
    )
    facts = json.loads(created.stdout)
    assert len(facts["password"]) > 20
    assert facts["claims"]["givenname"] == "Bea"
    shown = service.command("user", "show", "bea@ACME.example", "--org", service.org)
    assert facts["user_id"] in shown.stdout
    listed = service.command("user", "list", "--org", service.org, "--json")
    assert "Bea Bright" in [user["name"] for user in json.loads(listed.stdout)["users"]]
    rejected = service.command(
        "user", "set-password", facts["user_id"], "--password", "short", "--org", service.org
    )
    assert rejected.returncode == 1
    assert "8 characters" in rejected.stderr
    deleted = service.command("user", "delete", facts["user_id"], "--org", service.org, "--yes")
    assert deleted.returncode == 0
    assert service.command("user", "show", facts["user_id"], "--org", service.org).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["org", "show", "nobody"], "There is no organisation 'nobody'"),
        (["org", "create", "Not A Handle"], "A handle has"),
        (["app", "create", "x", "-p", "internal_cds_nonsense"], "no permission"),
        (["app", "create", "x", "--kind", "web"], "at least one redirect URI"),
        (["app", "create", "x", "--kind", "web", "-r", "javascript:alert(1)"], "no scheme"),
        (["app", "create", "x", "--kind", "web", "-r", CALLBACK + "#x"], "fragment"),
        (["app", "create", "x", "-r", CALLBACK], "signs no users in"),
        (["app", "show", "nobody"], "no application"),
        (["user", "show", "nobody"], "no user"),
        (["user", "create", "nonsense", "--given-name", "A", "--last-name", "B"], "e-mail address"),
    ],
)
def test_invalid_arguments_print_one_sentence(
    service: RunningService, arguments: list[str], sentence: str
) -> None:
    org = [] if arguments[0] == "org" else ["--org", service.org]
    result = service.command(*arguments, *org)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
