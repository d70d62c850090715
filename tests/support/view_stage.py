"""Stories of people, browsers and servers, told over the HTTP wires and read as tables.

A story is a text. A line is an act, or a question with its answer:

    post P1 T1 interests=chess     POST /profiles: the profile P1 and the tracker T1
    patch P1 plan=gold             PATCH /profiles/{id} by an application; `plan=-` removes, `user=ann`
    page T1 a1 mail=v@             an event without credentials, of a tracker, an anonymous id, both or none
    page T1 consent=out            the same, with a choice: in or out
    server T1 mail=v@              an event of a server
    registers ann T1               with the address ann@, at the pages of the provider; the code is redeemed
    signs-in ann T1                the same, with an account that exists
    follows-link vera T1           the same, but the shop that gets the code did not ask for it
    signs-out ann T1               in the browser of `registers` or `signs-in`
    verifies ann                   an administrator verifies the address of the account
    report ann T1 mail=a@          an identity server: user added; `mail!=a@`: a verified address
    claims ann mail!=n@            an identity server: claims set; `-`: emptied; `mail!=?`: its flag alone
    deletes ann                    an identity server: user deleted
    confirms ann T1                GET /profiles/Me with ann's token and the cookie
    link ann P1 T1                 POST /profiles/link of a profile, the browser of a tracker, or both
    me ann T1 plan=gold            PATCH /profiles/Me, with the cookie or without
    erases ann                     DELETE /profiles/{id} of their own, with their token
    closes ann                     an administrator deletes the account
    delete P1 own                  DELETE /profiles/{id} by an application, in a view
    config detach_on_sign_out      switches a setting of the organisation on
    dataset report_joins=confirmed changes a setting of the dataset
    protect profiles_per_merge_max=1 changes a limit
    type phone proves_identity=true changes an identity type; `blocked_values=1`: a list
    bind mail phone                binds these identities, and no others
    name C P1                      C is the id that the answer to the question P1 has
    keep V                         remembers the whole answer to a question, with its ETag
    same V                         the answer is the same now, byte for byte
    changed V                      the answer has another ETag now

    P1 = P1 < P2 ann interests=chess         by id; `P1 own =`, `P1 all =`: in that view
    P2 = P2 > P1 ann interests=chess         P2 was merged into P1
    Me ann = P1 ann interests=chess          GET /profiles/Me
    T1 = P1 ann interests=chess              by tracker: POST /profiles and GET /profiles/Me with the cookie
    write P1 = P1 ann interests=chess        the answer to a PATCH that changes nothing; `write T1`: by it
    list mail=v@ = P1 P2                     the profiles that a filter finds

An answer is the id, what was merged into it or where it was merged, the user, and the values in alphabetic
order. `source` is written once. `?` is an id that no act named. `v@` stands for `v@acme.example`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

from oneself.api.app import create_app
from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.directory.applications import NewApplication
from oneself.service.log.verify import verify
from oneself.services import Services
from support.application import ORG, SECRET, SYSTEM
from support.caller import Cds
from support.feed_consumer import FollowedDataset
from support.service import SYNC
from support.story_words import (
    ATTRIBUTES,
    DOMAIN,
    IDENTITIES,
    Words,
    full_value,
    name_in_events,
    pair,
    short_value,
    values_of,
)
from support.visitor import CALLBACK, Application, Visitor, arrived, claims_of

SCOPE = "openid internal_cds_profile_view internal_cds_profile_update internal_cds_profile_delete"
_BINDINGS = {
    name: {"name": type_id, "identity_type": type_id, "attribute": attribute}
    for name, (type_id, attribute) in IDENTITIES.items()
}
_CLAIMS = {"mail": "http://wso2.org/claims/emailaddress", "phone": "http://wso2.org/claims/mobile"}
_VERIFIED = {"mail": "emailVerified", "phone": "phoneVerified"}


class Stage:
    """An organisation whose pages, servers and people play stories."""

    def __init__(self, services: Services, app: Any, cds: Cds) -> None:
        self.services, self.cds = services, cds
        self.followed = FollowedDataset(services.database, cds.dataset_ref)
        self._app = app
        self._profiles: dict[str, str] = {}
        self._trackers: dict[str, str] = {}
        self._anonymous: dict[str, str] = {}
        self._tokens: dict[str, dict[str, str]] = {}
        self._users: dict[str, str] = {}
        self._browsers: dict[tuple[str, str], Visitor] = {}
        self._kept: dict[str, Any] = {}
        self._devices = itertools.count(0x0123456789ABCDE0)

    # -- setting up ----------------------------------------------------------------------------------

    @classmethod
    async def set_up(cls, services: Services) -> Stage:
        """Create an organisation, its system application and its shop, a browser application."""
        app = create_app(services, services.settings)
        created = await services.setup.provisioning.create(ORG, client_id=SYSTEM, client_secret=SECRET)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="https://cds.acme.example")
        http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        stage = cls(services, app, Cds(http, services, created.dataset_ref, SYSTEM))
        await stage._configure()
        return stage

    async def _configure(self) -> None:
        """Define the attributes and bind the identities of stories in the dataset `default`.

        The shop is a system application, so that no answer is filtered by consent.
        """
        new = NewApplication("Shop", "browser", (CALLBACK,), (CALLBACK,), PERMISSIONS, "spa")
        await self.services.directory.applications.create(self.cds.dataset_ref, new)
        await self._configured(system_applications=[SYSTEM, "spa"])
        combined = {"merge_strategy": "combine", "multi_valued": True}
        await self.cds.define(
            "traits",
            *({"attribute_name": f"traits.{name}"} for name in ("plan", "mood", "card", "number")),
            {"attribute_name": "traits.interests", **combined},
            {"attribute_name": "traits.source", "mutability": "writeOnce"},
        )
        for type_id in ("mobileNumber", "card"):
            body = {"id": type_id, "label": type_id, "uniqueness": "Identity Namespace"}
            await self.admin("POST", "/identity-types", json=body)
        await self.admin("PUT", "/datasets/default/identity-attributes", json=[*_BINDINGS.values()])

    async def admin(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Call the administration wire."""
        headers = {"Authorization": f"Bearer {await self.cds.token()}"}
        answer = await self.cds.http.request(method, f"/t/{ORG}/api/v1{path}", headers=headers, **kwargs)
        assert answer.is_success, f"{answer.status_code} {answer.text}"
        return answer

    async def end(self) -> None:
        """Close the browsers; the log must fold to the state, and the change feed lead to it."""
        await self.cds.http.aclose()
        for visitor in self._browsers.values():
            await visitor.http.aclose()
        report = await verify(self.services.database, lambda done, total: None)
        assert report.difference is None, report.difference
        await self.followed.read()
        await self.followed.assert_right()

    # -- playing -------------------------------------------------------------------------------------

    async def play(self, story: str) -> None:
        """Take the acts and check the answers, line by line."""
        for number, text in enumerate(story.strip().splitlines(), 1):
            line = text.partition("#")[0].strip()
            if not line:
                continue
            question, asked, answer = f"{line} ".partition(" = ")
            if asked:
                told = await self.answer(question)
                assert told == " ".join(answer.split()), f"line {number}: {line}\n  told: {told}"
            else:
                await self._act(line)

    async def answer(self, question: str) -> str:
        """The answer to a question, as a story writes it."""
        if question.startswith("list "):
            (name, value), *_ = [pair(word) for word in question.split()[1:]]
            found = await self.listed(name, value)
            return " ".join(sorted(map(self._name, found)))
        response = await self.read(question)
        return self._line(response.json()) if response.is_success else str(response.status_code)

    async def read(self, question: str) -> httpx.Response:
        """The answer to a question, as the wire gives it."""
        name, *rest = question.split()
        if name == "write":
            return await self._write_nothing(rest[0])
        if name == "Me":
            return await self._read_me(rest[0])
        if name in self._trackers:
            return await self._read_by_tracker(name)
        params = {"view": rest[0]} if rest else {}
        return await self.cds("GET", f"/profiles/{self._profiles[name]}", params=params)

    async def _write_nothing(self, name: str) -> httpx.Response:
        if name in self._trackers:
            return await self.cds("PATCH", "/profiles/Me", json={}, headers=self.cookie(name))
        return await self.cds("PATCH", f"/profiles/{self._profiles[name]}", json={})

    async def listed(self, name: str, value: str, **params: str) -> list[str]:
        """The ids of the profiles whose value is this one."""
        found = await self.cds.listed(filter=f"{ATTRIBUTES[name]} eq {full_value(value)}", **params)
        return [item["profile_id"] for item in found["profiles"]]

    def profile_id(self, name: str) -> str:
        """The id of a profile that an act named."""
        return self._profiles[name]

    def tracker(self, name: str) -> str:
        """The tracker of a browser."""
        return self._trackers[name]

    def anonymous_id(self, name: str) -> str:
        """The anonymous id of a browser."""
        return self._anonymous[name]

    def token(self, user: str) -> str:
        """The access token of a person."""
        return self._tokens[user]["access_token"]

    def user_id(self, user: str) -> str:
        """The user id of a person."""
        return self._users[user]

    @property
    def users(self) -> dict[str, str]:
        """User id → the name of the person in stories."""
        return {user_id: user for user, user_id in self._users.items()}

    def cookie(self, tracker: str) -> dict[str, str]:
        """The header that a browser with this tracker sends."""
        return {"Cookie": f"cds_profile={self._trackers[tracker]}"}

    async def _act(self, line: str) -> None:
        verb, *words = line.split()
        names = [word for word in words if "=" not in word]
        said = dict(pair(word) for word in words if "=" in word)
        act: Callable[..., Any] = getattr(self, f"_do_{verb.replace('-', '_')}")
        if verb in ("keep", "same", "changed", "name"):
            await act(*names)
            return
        await act(*names, **said)
        await self._finish_jobs()

    async def _finish_jobs(self) -> None:
        """Do what the service does in the background."""
        while await self.services.rules.reindexer.step() or await self.services.log.join_reviewer.step():
            pass
        await self.services.log.reconciler.reconcile_all()

    # -- reading -------------------------------------------------------------------------------------

    async def _read_me(self, user: str) -> httpx.Response:
        """Me, which is what an application reads by its id in the view `own`."""
        me = await self.cds("GET", "/profiles/Me", token=self.token(user))
        if me.is_success:
            path, params = f"/profiles/{me.json()['profile_id']}", {"view": "own"}
            by_id = await self.cds("GET", path, params=params)
            assert (by_id.json(), by_id.headers["etag"]) == (me.json(), me.headers["etag"])
        return me

    async def _read_by_tracker(self, tracker: str) -> httpx.Response:
        """What POST /profiles and Me answer to an application that brings the tracker."""
        cookie = self.cookie(tracker)
        posted = await self.cds("POST", "/profiles", json={}, headers=cookie)
        assert posted.status_code == 200, posted.text
        me = await self.cds("GET", "/profiles/Me", headers=cookie)
        named = {**me.json(), "anonymous_profile_tracker": self._trackers[tracker]}
        assert (posted.json(), posted.headers["etag"]) == (named, me.headers["etag"])
        assert "merged_from" not in posted.json()
        return posted

    def _line(self, document: dict[str, Any]) -> str:
        """A profile as a story writes it."""
        words = [self._name(document["profile_id"])]
        if merged := document.get("merged_to"):
            words += [">", self._name(merged["profile_id"])]
        if merged := document.get("merged_from"):
            words += ["<", *sorted(self._name(item["profile_id"]) for item in merged)]
        if user_id := document.get("user_id"):
            words.append(self.users[user_id])
        for name, attribute in sorted(ATTRIBUTES.items()):
            scope, key = attribute.split(".")
            if (value := document.get(scope, {}).get(key)) is not None:
                words.append(f"{name}={short_value(value)}")
        return " ".join(words)

    def _name(self, profile_id: str) -> str:
        names = {known: name for name, known in self._profiles.items()}
        return names.get(profile_id, "?")

    # -- acts of applications and pages --------------------------------------------------------------

    async def _do_post(self, name: str, tracker: str | None = None, **said: str) -> None:
        user = said.pop("user", None)
        body = values_of(said) | ({} if user is None else {"user_id": self._users[user]})
        params = {} if tracker is not None else {"tracker": "false"}
        answer = await self.cds("POST", "/profiles", json=body, params=params)
        assert answer.status_code == 201, answer.text
        self._profiles[name] = answer.json()["profile_id"]
        if tracker is None:
            assert "anonymous_profile_tracker" not in answer.json()
        else:
            self._trackers[tracker] = answer.json()["anonymous_profile_tracker"]

    async def _do_patch(self, name: str, **said: str) -> None:
        user = said.pop("user", None)
        body = values_of(said) | ({} if user is None else {"user_id": self._users.setdefault(user, user)})
        answer = await self.cds("PATCH", f"/profiles/{self._profiles[name]}", json=body)
        assert answer.status_code == 200, answer.text

    async def _do_me(self, user: str, tracker: str | None = None, **said: str) -> None:
        headers = {} if tracker is None else self.cookie(tracker)
        answer = await self.cds(
            "PATCH", "/profiles/Me", json=values_of(said), token=self.token(user), headers=headers
        )
        assert answer.status_code == 200, answer.text

    async def _do_page(self, *names: str, **said: str) -> None:
        await self._event("event", names, said)

    async def _do_server(self, *names: str, **said: str) -> None:
        await self._event("authevent", names, said)

    async def _event(self, endpoint: str, names: tuple[str, ...], said: Words) -> None:
        is_server = endpoint == "authevent"
        source: dict[str, Any] = {"channel": "Server" if is_server else "Web"}
        if (at := said.pop("at", None)) is not None:
            source["time"] = int(at)
        chosen = said.pop("consent", None)
        attributes = {name_in_events(name): full_value(value) for name, value in said.items()}
        user = {"attributes": attributes, **self._devices_of(names)}
        event = {"interaction": {"name": "Visit"}, "user": user, "source": source}
        if chosen is not None:
            event["consents"] = [{"purpose": "Tracking", "status": f"Opt {chosen.title()}"}]
        auth = (SYSTEM, SECRET) if is_server else None
        answer = await self.cds.http.post(f"/t/{ORG}/api2/{endpoint}/default", json=event, auth=auth)
        assert answer.status_code == 200, answer.text
        if (tracker := answer.json().get("anonymousProfileTracker")) is not None:
            self._trackers |= {name: tracker for name in names if name.startswith("T")}

    def _devices_of(self, names: tuple[str, ...]) -> Words:
        """The ids that a browser sends. A new browser requests a tracker by an empty one."""
        devices: Words = {}
        for name in names:
            if name.startswith("T"):
                devices["anonymousProfileTracker"] = self._trackers.get(name, "")
            else:
                new = f"{next(self._devices):016x}"
                devices["anonymousId"] = self._anonymous.setdefault(name, new)
        return devices

    async def _do_link(self, user: str, *names: str) -> None:
        """Link a profile by its id, the browser of a tracker, or both."""
        body = {"user_id": self._users.setdefault(user, user)}
        headers: Words = {}
        for name in reversed(names):
            if name in self._trackers:
                headers, answer = self.cookie(name), await self._read_by_tracker(name)
                body["profile_id"] = answer.json()["profile_id"]
            else:
                body["profile_id"] = self._profiles[name]
        answer = await self.cds("POST", "/profiles/link", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        await self._get_token(user)

    async def _do_dataset(self, **settings: str) -> None:
        await self.admin("PATCH", "/datasets/default", json=settings)

    async def _do_protect(self, **limits: str) -> None:
        await self.admin("PATCH", "/protection", json={name: int(value) for name, value in limits.items()})

    async def _do_type(self, name: str, **changes: str) -> None:
        body: dict[str, Any] = {key: value == "true" for key, value in changes.items()}
        if "blocked_values" in changes:
            body["blocked_values"] = [
                full_value(item) for item in changes["blocked_values"].split("+") if item
            ]
        await self.admin("PATCH", f"/identity-types/{IDENTITIES[name][0]}", json=body)

    async def _do_bind(self, *names: str) -> None:
        """Bind identities, after the confirmation of what that merges."""
        path, body = "/datasets/default/identity-attributes", [_BINDINGS[name] for name in names]
        headers = {"Authorization": f"Bearer {await self.cds.token()}"}
        asked = await self.cds.http.put(f"/t/{ORG}/api/v1{path}", headers=headers, json=body)
        if asked.status_code == 409:
            await self.admin("PUT", path, json=body, params={"confirmation": asked.json()["confirmation"]})

    async def _do_config(self, setting: str) -> None:
        await self._configured(**{setting: True})

    async def _configured(self, **settings: Any) -> None:
        answer = await self.cds("PATCH", "/config", json=settings)
        assert answer.status_code == 200, answer.text

    # -- acts of people at the embedded provider -------------------------------------------------------

    async def _do_registers(self, user: str, tracker: str | None = None) -> None:
        shop = self._shop(user, tracker)
        page = await shop.registration(scope=SCOPE, **self._parameter(tracker))
        answer = await shop.visitor.register(f"{user}@{DOMAIN}", page, given_name=user.title())
        self._signed_in(user, await shop.tokens(answer))

    async def _do_signs_in(self, user: str, tracker: str | None = None) -> None:
        shop = self._shop(user, tracker)
        page = await shop.authorize(scope=SCOPE, **self._parameter(tracker))
        self._signed_in(user, await shop.tokens(await shop.visitor.sign_in(f"{user}@{DOMAIN}", page=page)))

    async def _do_follows_link(self, user: str, tracker: str) -> None:
        """Sign in at a link that somebody else made: the shop did not begin it, and has no verifier."""
        shop = self._shop(user, f"{tracker} by a link")
        page = await shop.authorize(scope=SCOPE, **self._parameter(tracker))
        answer = await shop.visitor.sign_in(f"{user}@{DOMAIN}", page=page)
        assert "code" in arrived(answer)
        rejected = await shop.exchange(answer, code_verifier="x" * 43)
        assert rejected.status_code == 400, rejected.text

    async def _do_signs_out(self, user: str, tracker: str) -> None:
        visitor = self._browsers[user, tracker]
        visitor.http.cookies.set("cds_profile", self._trackers[tracker])
        hint = self._tokens[user]["id_token"]
        answer = await visitor.open("oauth2/logout", id_token_hint=hint, post_logout_redirect_uri=CALLBACK)
        assert answer.status_code == 302, answer.text
        # The sign-out ended the token. The person reads on with one of another device.
        self._tokens[user] |= {"access_token": await self.cds.token(subject=self._users[user])}

    async def _do_verifies(self, user: str) -> None:
        await self.admin("PATCH", f"/users/{self._users[user]}", json={"email_verified": True})

    def _shop(self, user: str, tracker: str | None) -> Application:
        visitor = Visitor(self._app)
        self._browsers[user, tracker or ""] = visitor
        return Application(visitor, "spa", None)

    def _parameter(self, tracker: str | None) -> Words:
        return {} if tracker is None else {"anonymous_profile_tracker": self._trackers[tracker]}

    def _signed_in(self, user: str, tokens: dict[str, Any]) -> None:
        self._tokens[user] = tokens
        self._users[user] = str(claims_of(tokens["access_token"])["sub"])

    async def _do_erases(self, user: str) -> None:
        token = self.token(user)
        me = (await self.cds("GET", "/profiles/Me", token=token)).json()
        erased = await self.cds("DELETE", f"/profiles/{me['profile_id']}", token=token)
        assert erased.status_code == 204, erased.text

    async def _do_closes(self, user: str) -> None:
        await self.admin("DELETE", f"/users/{self._users[user]}")

    async def _do_delete(self, name: str, view: str | None = None) -> None:
        params = {} if view is None else {"view": view}
        erased = await self.cds("DELETE", f"/profiles/{self._profiles[name]}", params=params)
        assert erased.status_code == 204, erased.text

    # -- acts of an external identity server -----------------------------------------------------------

    async def _do_report(self, user: str, tracker: str | None = None, **said: str) -> None:
        await self._sync("POST_ADD_USER", user, tracker, said)

    async def _do_claims(self, user: str, **said: str) -> None:
        await self._sync("POST_SET_USER_CLAIM_VALUES_WITH_ID", user, None, said)

    async def _do_deletes(self, user: str) -> None:
        await self._sync("POST_DELETE_USER_WITH_ID", user, None, {})

    async def _sync(self, event: str, user: str, tracker: str | None, said: Words) -> None:
        claims: dict[str, str] = {}
        for word, value in said.items():
            name = word.removesuffix("!")
            if value != "?":
                claims[_CLAIMS[name]] = "" if value == "-" else full_value(value)
            if word.endswith("!"):
                claims[f"http://wso2.org/claims/identity/{_VERIFIED[name]}"] = "true"
        user_id = self._users.setdefault(user, user)
        report = {"event": event, "orgHandle": ORG, "userId": user_id, "claims": claims}
        if tracker is not None:
            report["profileCookie"] = self._trackers[tracker]
        answer = await self.cds.http.post(f"/t/{ORG}/cds/api/v1/profiles/sync", json=report, auth=SYNC)
        assert answer.status_code == 200, answer.text
        await self._get_token(user)

    async def _do_confirms(self, user: str, tracker: str) -> None:
        answer = await self.cds("GET", "/profiles/Me", token=self.token(user), headers=self.cookie(tracker))
        assert answer.status_code == 200, answer.text

    async def _get_token(self, user: str) -> None:
        if user not in self._tokens:
            self._tokens[user] = {"access_token": await self.cds.token(subject=self._users[user])}

    # -- acts of the reader ----------------------------------------------------------------------------

    async def _do_name(self, name: str, *question: str) -> None:
        self._profiles[name] = (await self.read(" ".join(question))).json()["profile_id"]

    async def _do_find(self, name: str, **said: str) -> None:
        ((word, value),) = said.items()
        (self._profiles[name],) = await self.listed(word, value)

    async def _do_keep(self, *question: str) -> None:
        self._kept[" ".join(question)] = await self._whole(*question)

    async def _do_same(self, *question: str) -> None:
        told, kept = await self._whole(*question), self._kept[" ".join(question)]
        assert told == kept, f"same {' '.join(question)}: {told} is not {kept}"

    async def _do_changed(self, *question: str) -> None:
        told, kept = await self._whole(*question), self._kept[" ".join(question)]
        assert told[1] != kept[1], f"changed {' '.join(question)}: both are {told[1]}"

    async def _whole(self, *question: str) -> tuple[int, str | None, Any]:
        answer = await self.read(" ".join(question))
        return answer.status_code, answer.headers.get("etag"), answer.json()
