"""What a role may do: every page of the console with every role, and nobody without one."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.console.roles import MAY
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.console_users import ROLES
from oneself.services import Services
from support.console_browser import ConsoleBrowser, new_console_user
from support.console_routes import ORGANISATION, console_routes

#: The page after a sign-in, and the pages of signing in, belong to no organisation.
OF_NONE = {"/console", "/console/organisations", "/console/password", "/console/sign-out"}
PUBLIC = {"/console/static/{name:str}", "/console/oauth2/authorize", "/console/signed-in"}


ROUTES = console_routes()


def test_every_page_names_its_permission_and_every_role_is_in_the_table() -> None:
    assert set(MAY) == set(ROLES)
    for _, path, handler in ROUTES:
        if path.startswith(ORGANISATION):
            assert handler.opt["permission"] in MAY["administrator"]
        else:
            assert path in OF_NONE | PUBLIC


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_reaches_what_the_table_says_and_nothing_else(
    app: Any, services: Services, acme: DatasetRef, role: str
) -> None:
    config = await services.configurations.current(acme.dataset_id)
    known = config.schema.attributes[0].attribute_id
    await new_console_user(services, "eve", role, "acme")
    browser = ConsoleBrowser(app)
    await browser.sign_in("eve")
    for method, path, handler in ROUTES:
        if not path.startswith(ORGANISATION):
            continue
        named = {"id": known, "name": "nobody", "with": "nobody"}
        answer = await browser.http.request(
            method, path.replace("{org:str}", "acme"), params=named, data={"csrf": "none"}
        )
        is_allowed = handler.opt["permission"] in MAY[role]  # type: ignore[index]
        if not is_allowed:
            assert (answer.status_code, "Your role does not allow this" in answer.text) == (403, True), path
        elif method == "GET":
            assert answer.status_code in (200, 400, 404), path
        else:
            # The form is not one of this session: that is looked at after the role.
            assert "This form has expired" in answer.text or answer.status_code in (400, 404), path


@pytest.mark.parametrize("role", ["analyst", "privacy_officer"])
async def test_what_a_role_may_not_do_is_not_offered(
    app: Any, services: Services, acme: DatasetRef, role: str
) -> None:
    await new_console_user(services, "eve", role, "acme")
    browser = ConsoleBrowser(app)
    await browser.sign_in("eve")
    for path in ("", "/attributes", "/attributes?scope=application_data", "/profiles"):
        await browser.open(f"/console/o/acme{path}")
        assert "New attribute" not in browser.text
        assert not [link for link in browser.parsed.links if "/new" in link or "/delete" in link]


@pytest.mark.parametrize(
    ("role", "steps"),
    [
        ("administrator", {"split", "merge", "export", "erase"}),
        ("analyst", set()),
        ("privacy_officer", {"export", "erase"}),
    ],
)
async def test_a_profile_offers_what_the_role_may_do(
    app: Any, services: Services, acme: DatasetRef, role: str, steps: set[str]
) -> None:
    created = await services.profiles.profiles.create(acme, Actor("cds"), {}, tracker=None)
    await new_console_user(services, "eve", role, "acme")
    browser = ConsoleBrowser(app)
    await browser.sign_in("eve")
    profile = {"id": str(created.profile.profile_id)}
    await browser.open("/console/o/acme/profiles/profile", **profile)
    for step in ("split", "merge", "export", "erase"):
        is_offered = any(f"/profiles/{step}?" in link for link in browser.parsed.links)
        assert is_offered == (step in steps), step
        answer = await browser.http.get(f"/console/o/acme/profiles/{step}", params=profile)
        assert answer.status_code == (200 if step in steps else 403), step


async def test_without_a_session_every_page_asks_for_a_sign_in(app: Any, acme: DatasetRef) -> None:
    browser = ConsoleBrowser(app)
    for method, path, _ in ROUTES:
        if path in PUBLIC:
            continue
        answer = await browser.http.request(method, path.replace("{org:str}", "acme"))
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/console/oauth2/authorize?"), path
    part = await browser.http.get("/console/o/acme/attributes", headers={"HX-Request": "true"})
    assert part.headers["hx-redirect"] == "/console/"
