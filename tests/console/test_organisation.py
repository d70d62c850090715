"""Organisation → Applications, Console users and Audit log, and the own password, without JavaScript."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any

import pytest

from oneself.console.application_words import groups
from oneself.errors import Conflict, Forbidden
from oneself.service.context import DatasetRef
from oneself.service.directory.applications import Application, NewApplication
from oneself.services import Services
from support.console_browser import ADMIN, ADMIN_PASSWORD, ConsoleBrowser, new_console_user

HOME = "/console/o/acme"
CALLBACK = "https://shop.example/callback"


async def made(services: Services, acme: DatasetRef) -> list[Application]:
    """The applications beside the one that every organisation begins with."""
    listed = await services.directory.applications.list(acme)
    return [item for item in listed if item.name != "System application"]


async def create_application(browser: ConsoleBrowser, **fields: Any) -> None:
    await browser.open(f"{HOME}/applications/new")
    await browser.submit(**fields)


async def test_a_machine_application_gets_a_secret_that_is_shown_once(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await ada.open(f"{HOME}/applications")
    assert "System application" in ada.text
    permission = "internal_cds_profile_view"
    await create_application(ada, name="CRM", kind="machine", permissions=[permission], redirect_uris="")
    (application,) = await made(services, acme)
    assert (application.name, application.kind, application.permissions) == ("CRM", "machine", (permission,))
    shown = re.search(r'id="secret">([^<]+)', ada.page.text)
    assert shown is not None
    assert await services.directory.applications.secret_matches(application, shown[1])
    await ada.open(f"{HOME}/applications/application", id=application.client_id)
    assert shown[1] not in ada.page.text
    await ada.open(f"{HOME}/applications/secret", id=application.client_id)
    assert "The present secret ends at once" in ada.text
    application = await services.directory.applications.get(acme, application.client_id)
    assert await services.directory.applications.secret_matches(application, shown[1])
    await ada.submit()
    replaced = re.search(r'id="secret">([^<]+)', ada.page.text)
    assert replaced is not None
    application = await services.directory.applications.get(acme, application.client_id)
    assert await services.directory.applications.secret_matches(application, replaced[1])
    assert not await services.directory.applications.secret_matches(application, shown[1])


async def test_a_browser_application_has_redirects_and_no_secret(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await create_application(ada, name="Shop", kind="browser", redirect_uris=f"{CALLBACK}\nshop:/callback")
    (application,) = await made(services, acme)
    assert application.redirect_uris == (CALLBACK, "shop:/callback")
    assert "Secret" not in ada.text
    assert application.client_id in ada.text
    await ada.open(f"{HOME}/applications/application", id=application.client_id)
    assert "Make a new secret" not in ada.text
    await ada.submit(to=f"{HOME}/applications/secret?id={application.client_id}")
    assert ada.page.status_code == 404
    await ada.open(f"{HOME}/applications/secret", id=application.client_id)
    assert ada.page.status_code == 404


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "The name must have"),
        ({"kind": "web"}, "needs at least one redirect URI"),
        ({"kind": "web", "redirect_uris": "javascript:alert(1)"}, "has no scheme"),
        ({"kind": "robot"}, "The kind must be one of"),
        ({"permissions": "internal_cds_everything"}, "There is no permission"),
    ],
)
async def test_what_is_no_application_is_said_at_its_field(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, fields: dict[str, str], sentence: str
) -> None:
    await create_application(ada, **{"name": "CRM", "kind": "machine", **fields})
    assert (ada.page.status_code, sentence in ada.text) == (400, True), ada.text
    assert await made(services, acme) == []


async def test_an_application_is_changed_unless_somebody_else_did_and_deleted(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    applications = services.directory.applications
    created, _ = await applications.create(acme, NewApplication("CRM"))
    await ada.open(f"{HOME}/applications/application", id=created.client_id)
    form = ada.page
    await applications.change(acme, created.client_id, name="Sales")
    await ada.submit(form, name="Support")
    assert ada.page.status_code == 409
    assert "Somebody else changed this application in the meantime" in ada.text
    assert (await applications.get(acme, created.client_id)).name == "Sales"
    await ada.submit()
    assert (await applications.get(acme, created.client_id)).name == "Support"
    await ada.open(f"{HOME}/applications/delete", id=created.client_id)
    await ada.submit()
    assert "The application was deleted" in ada.text
    assert await made(services, acme) == []


def test_every_permission_is_explained(services: Services) -> None:
    known = services.directory.applications.known
    assert {word for permissions in groups(known).values() for word in permissions} == set(known)


async def test_a_console_user_is_created_with_a_password_that_is_shown_once(
    ada: ConsoleBrowser, app: Any, services: Services, acme: DatasetRef
) -> None:
    await ada.open(f"{HOME}/members")
    await ada.submit(username="eve", role="analyst")
    shown = re.search(r'id="secret">([^<]+)', ada.page.text)
    assert shown is not None
    assert re.fullmatch(r"([0-9a-z]{4}-){4}[0-9a-z]{4}", shown[1])
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve", shown[1])
    assert "Analyst" in eve.text
    assert await services.directory.console_users.find_of(acme) == {ADMIN: "administrator", "eve": "analyst"}


@pytest.mark.parametrize("name", ["eve", "EVE"])
async def test_somebody_who_exists_gets_no_role_in_the_console(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, name: str
) -> None:
    await services.setup.provisioning.create("globex", name="Globex")
    await new_console_user(services, "eve", "administrator", "globex")
    await ada.open(f"{HOME}/members")
    await ada.submit(username=name, role="privacy_officer")
    assert (ada.page.status_code, f"The name {name} is taken" in ada.text) == (400, True)
    assert f"oneself console-user role {name} privacy-officer --org acme" in ada.text
    assert await services.directory.console_users.find_of(acme) == {ADMIN: "administrator"}


async def test_names_that_differ_in_case_alone_are_one(
    services: Services, app: Any, ada: ConsoleBrowser, acme: DatasetRef
) -> None:
    users = services.directory.console_users
    made = await asyncio.gather(
        *(users.create(name, ADMIN_PASSWORD, {acme: "analyst"}) for name in ("Ghost", "ghost", "GHOST")),
        return_exceptions=True,
    )
    assert sum(isinstance(error, Conflict) for error in made) == 2
    browser = ConsoleBrowser(app)
    await browser.sign_in("gHOST")
    assert "Analyst" in browser.text
    await ada.open(f"{HOME}/members")
    await ada.submit(username="ghosT", role="administrator")
    assert "has a role here already" in ada.text
    await users.delete("gHost")
    assert await users.find_of(acme) == {ADMIN: "administrator"}


async def test_wrong_passwords_are_counted_whatever_the_case_of_the_name(
    app: Any, services: Services, acme: DatasetRef
) -> None:
    await new_console_user(services, "eve", "analyst", "acme")
    browser = ConsoleBrowser(app)
    for name in ("eve", "Eve", "eVe", "evE", "EVe", "EvE", "eVE", "EVE", "eve", "Eve", "eVe"):
        await browser.sign_in(name, "wrong")
    assert (browser.page.status_code, "Too many failed attempts" in browser.text) == (429, True)


async def test_the_role_of_a_member_is_changed_and_taken(
    ada: ConsoleBrowser, app: Any, services: Services, acme: DatasetRef
) -> None:
    await new_console_user(services, "eve", "privacy_officer", "acme")
    await ada.open(f"{HOME}/members/member", name="eve")
    await ada.submit(role="analyst")
    assert (await services.directory.console_users.find_of(acme))["eve"] == "analyst"
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await ada.open(f"{HOME}/members/member", name="eve")
    await ada.submit(role="none")
    assert await services.directory.console_users.find_of(acme) == {ADMIN: "administrator"}
    await eve.open(HOME)
    assert eve.page.status_code == 404


async def test_two_administrators_who_take_each_others_role_leave_one(
    services: Services, acme: DatasetRef
) -> None:
    users = services.directory.console_users
    names = ("ada", "eve")
    for _ in range(5):
        for name in names:
            with suppress(Conflict):
                await users.create(name, ADMIN_PASSWORD, {})
            await users.set_role(name, acme, "administrator")
        taken = await asyncio.gather(
            *(users.change_member(name, acme, None, changed_by=by) for name, by in (names, names[::-1])),
            return_exceptions=True,
        )
        assert sorted(type(error) for error in taken if error) == [Forbidden]
        assert list((await users.find_of(acme)).values()) == ["administrator"]


async def test_whose_role_was_taken_meanwhile_changes_nobody(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = services.directory.console_users
    await new_console_user(services, "eve", "administrator", "acme")
    await ada.open(f"{HOME}/members/member", name="eve")
    claim = services.directory.console_sessions.claim_form

    async def claim_after_the_role_was_taken(token: str) -> bool:
        await users.set_role(ADMIN, acme, "analyst")
        return await claim(token)

    monkeypatch.setattr(services.directory.console_sessions, "claim_form", claim_after_the_role_was_taken)
    await ada.submit(role="none")
    assert (ada.page.status_code, "Your role does not allow this" in ada.text) == (403, True)
    assert (await users.find_of(acme))["eve"] == "administrator"


@pytest.mark.parametrize("role", ["analyst", "privacy_officer"])
async def test_everybody_sees_who_has_access_and_what_was_erased(
    app: Any, services: Services, ada: ConsoleBrowser, role: str
) -> None:
    await new_console_user(services, "eve", role, "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await eve.open(f"{HOME}/members")
    assert ADMIN in eve.text
    assert "Add" not in eve.text
    assert f"name={ADMIN}" not in eve.page.text
    await eve.open(f"{HOME}/erasures")
    assert eve.heading == "Erasures"


async def test_nobody_changes_their_own_role_or_somebody_elsewhere(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await services.setup.provisioning.create("globex", name="Globex")
    await new_console_user(services, "eve", "administrator", "globex")
    await ada.open(f"{HOME}/members")
    form = ada.page
    for name in (ADMIN, "eve", "nobody"):
        await ada.submit(form, to=f"{HOME}/members/member?name={name}", role="none")
        assert ada.page.status_code == 404, name
    assert await services.directory.console_users.find_of(acme) == {ADMIN: "administrator"}
    for fields in ({"username": ADMIN, "role": "analyst"}, {"username": "x", "role": "owner"}):
        await ada.open(f"{HOME}/members")
        await ada.submit(**fields)
        assert ada.page.status_code == 400
    await ada.open(f"{HOME}/members")
    await ada.submit(username="-", role="analyst")
    assert "A name has 1 to 100" in ada.text


async def test_the_own_password_is_changed_and_ends_the_sessions(
    ada: ConsoleBrowser, app: Any, services: Services
) -> None:
    other = ConsoleBrowser(app)
    await other.sign_in()
    new = "a better password"
    for fields, sentence in (
        ({"current": "wrong", "new": new, "again": new}, "This is not your password"),
        ({"current": ADMIN_PASSWORD, "new": new, "again": "another"}, "The two new passwords differ"),
        ({"current": ADMIN_PASSWORD, "new": "x", "again": "x"}, "password"),
    ):
        await ada.open("/console/password")
        await ada.submit(**fields)
        assert (ada.page.status_code, sentence in ada.text) == (400, True)
    await ada.open("/console/password")
    await ada.submit(current=ADMIN_PASSWORD, new=new, again=new)
    assert "Your password was changed" in ada.text
    for browser in (ada, other):
        await browser.open(HOME)
        assert browser.heading == "Sign in to the console"
    await ada.sign_in(password=new)
    assert ADMIN in ada.text


async def test_wrong_present_passwords_are_counted(ada: ConsoleBrowser) -> None:
    for _ in range(11):
        await ada.open("/console/password")
        await ada.submit(current="wrong", new="a better password", again="a better password")
    assert (ada.page.status_code, "Too many failed attempts" in ada.text) == (429, True)


async def test_the_audit_log_names_who_changed_what(ada: ConsoleBrowser) -> None:
    await ada.open(f"{HOME}/audit")
    before = ada.text
    await ada.open(f"{HOME}/attributes/new", scope="traits")
    await ada.submit(name="tier")
    await ada.open(f"{HOME}/audit")
    assert before.count("ada (console)") + 1 == ada.text.count("ada (console)")
    assert "Settings changed" in ada.text
    await ada.open(f"{HOME}/audit", offset="100000")
    assert "There is no entry on this page" in ada.text


async def test_the_audit_log_says_from_what_to_what(ada: ConsoleBrowser, services: Services) -> None:
    acme = await services.directory.organisations.get("acme")
    await services.directory.console_users.create("eve", "a good password", {acme: "analyst"})
    await ada.open(f"{HOME}/members/member", name="eve")
    await ada.submit(role="privacy_officer")
    await ada.open(f"{HOME}/audit")
    assert (
        "Console user changed 1 change console user eve: role before: analyst → after: privacy_officer"
        in (ada.text)
    )
    assert "before: nothing → after: analyst" in ada.text
    assert re.search(r"Console user changed 1 change .{60,90} ada \(console\)", ada.text)
    assert "/t/acme/api/audit/list" in ada.page.text
    assert "good password" not in ada.page.text


async def test_a_rejected_change_leaves_no_entry(ada: ConsoleBrowser, services: Services) -> None:
    acme = await services.directory.organisations.get("acme")
    before = await services.log.audit.list_entries(acme, 0, 2**62, limit=100, offset=0)
    await ada.open(f"{HOME}/applications/new")
    await ada.submit(name="")
    await ada.open(f"{HOME}/members")
    await ada.submit(username="ada", role="analyst")
    assert await services.log.audit.list_entries(acme, 0, 2**62, limit=100, offset=0) == before
