"""The registration story, chapter by chapter, then the chapters about events.

Invariants: every step is a request that code of a customer could send. Each chapter checks the results; a
failed expectation ends the story (`narrator.ExpectationFailed`).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from oneself.demo.browser import Browser, Page
from oneself.demo.client import Client, Reply
from oneself.demo.events import READER_PERMISSIONS, Events
from oneself.demo.narrator import ExpectationFailed, Narrator
from oneself.demo.stage import BACKEND, ORG, SHOP_NAME, WEB, WEB_PERMISSIONS, Stage, run_command

#: How long a mail may take to the development outbox.
MAIL_DEADLINE_S, POLL_S = 20.0, 0.2
PASSWORD = "correct horse battery staple"  # noqa: S105 the demo prints it
ANN = {"email": "ann@shop.example", "given_name": "Ann", "last_name": "Archer", "mobile": "+44 20 7946 0018"}
BEN = {"email": "ben@shop.example", "given_name": "Ben", "last_name": "Brook", "mobile": ""}
EVERYTHING = {"includeApplicationData": "true", "provenance": "true"}

SETUP_PERMISSIONS = ("internal_cds_profile_schema_create",)
#: The permissions of the shop's back end.
SHOP_PERMISSIONS = tuple(f"internal_cds_profile_{verb}" for verb in ("create", "update", "view"))

INTERESTS = {
    "attribute_name": "traits.interests",
    "value_type": "string",
    "multi_valued": True,
    "merge_strategy": "combine",
    "mutability": "readWrite",
}
BASKET = {
    "attribute_name": "application_data.basket",
    "application_identifier": BACKEND,
    "value_type": "string",
    "multi_valued": True,
    "merge_strategy": "combine",
    "mutability": "readWrite",
}


class Visit(msgspec.Struct, frozen=True):
    """The ids that the shop stores for a visitor."""

    profile_id: str
    tracker: str


class SignedIn(msgspec.Struct, frozen=True):
    """The data that the shop stores for a signed-in user."""

    id_token: str
    user_id: str


class Story:
    """Plays the chapters in order. Creates the browsers; `close` closes them."""

    def __init__(self, stage: Stage, narrator: Narrator) -> None:
        self._stage = stage
        self._narrator = narrator
        self._back_end = Client(stage, narrator)
        self._browsers: list[Browser] = []

    def close(self) -> None:
        """Close all connections."""
        for browser in self._browsers:
            browser.close()
        self._back_end.close()

    def play(self) -> None:
        """Play all chapters. Raises ExpectationFailed."""
        self._define_attributes()
        laptop = self._browser()
        visit = self._anonymous_visit(laptop)
        self._activity(visit)
        ann = self._register(laptop, visit)
        self._confirm_address(laptop)
        self._anonymous_again(laptop, visit, ann)
        phone = self._browser()
        other = self._second_browser(phone, visit)
        self._sign_in_on_phone(phone, visit, other, ann)
        self._later_activity(phone, visit, other, ann)
        self._other_person(laptop, visit, ann)
        self._verify()
        Events(self._stage, self._narrator, self._back_end).play()

    def _define_attributes(self) -> None:
        self._narrator.chapter(
            "The shop defines its attributes",
            "Activity is stored in profile attributes, which must be defined first. Every request carries an "
            "access token; the shop's back end gets one with its client id and secret.",
        )
        self._back_end.token = self._back_end.fetch_token(SETUP_PERMISSIONS)
        self._narrator.say(
            "\n  A [bold]trait[/] is shared by all applications. [bold]combine[/] collects all values."
        )
        self._back_end.call("POST", "/profile-schema/traits", [INTERESTS])
        self._narrator.say(
            "\n  [bold]Application data[/] belongs to one application, named by its client id."
        )
        response = self._back_end.call("POST", "/profile-schema/application_data", [BASKET])
        self._narrator.expect(
            response.status == 201, "Two attributes are defined. No other configuration is needed."
        )

    def _anonymous_visit(self, laptop: Browser) -> Visit:
        self._narrator.chapter(
            "A visitor opens the shop",
            "The visitor is unknown. The back end creates a [bold]temporary profile[/].",
        )
        self._back_end.token = self._back_end.fetch_token(SHOP_PERMISSIONS)
        created = self._back_end.call("POST", "/profiles", {}, browser=laptop)
        visit = Visit(created.body["profile_id"], created.body["anonymous_profile_tracker"])
        self._narrator.fact("profile", visit.profile_id, "temporary: it has no user_id")
        self._narrator.fact(
            "tracker", visit.tracker, "identifies this browser; also in the cookie cds_profile"
        )
        self._narrator.profile(created.body)
        self._narrator.say("      [dim]From here on, only the first eight characters of ids are printed.[/]")
        self._narrator.expect("user_id" not in created.body, "An anonymous visitor has a profile.")
        return visit

    def _activity(self, visit: Visit) -> None:
        self._narrator.chapter(
            "The visitor looks around", "The shop writes each step to the profile at once."
        )
        self._write(visit.profile_id, {"traits": {"interests": ["chess"]}})
        self._write(visit.profile_id, {"application_data": {BACKEND: {"basket": ["The Endgame"]}}})
        self._narrator.say("\n  A value under a scope that does not define its attribute is rejected:")
        body = {"traits": {"basket": ["The Endgame"]}}
        refused = self._back_end.call("PATCH", f"/profiles/{visit.profile_id}", body)
        self._narrator.fact(refused.body["code"], refused.body["description"])
        self._narrator.expect(refused.status == 400, "The rejected value changed nothing.")

    def _register(self, laptop: Browser, visit: Visit) -> SignedIn:
        self._narrator.chapter(
            "The visitor registers: it is Ann",
            f"{SHOP_NAME} redirects the browser to sign in (OAuth 2, authorization code with PKCE) with the "
            "[bold]tracker[/]. Ann fills in the form and is signed in.",
        )
        ann = self._sign_in(laptop, visit.tracker, lambda page: self._registration(laptop, page, ANN))
        self._narrator.say(
            "\n  The profiles are unified when the sign-in is complete. The next request shows it:"
        )
        profile = self._read(visit.profile_id)
        self._narrator.provenance(profile.body)
        self._narrator.expect(
            profile.body["user_id"] == ann.user_id, "The temporary profile gained Ann's user_id."
        )
        self._narrator.expect(
            "merged_to" not in profile.body, "It keeps its profile_id and is now Ann's permanent profile."
        )
        self._narrator.expect(
            profile.body["traits"]["interests"] == ["chess"], "Her earlier activity is still there."
        )
        return ann

    def _confirm_address(self, laptop: Browser) -> None:
        self._narrator.chapter(
            "Ann confirms her e-mail address",
            "Anybody can type an address. Ann gets a mail; its link and her password together prove that the "
            "address is hers. No mail server is set up here, so the mail is in the development outbox.",
        )
        page = laptop.fill(self._mail_link(laptop), {"password": PASSWORD})
        self._narrator.expect(page.title == "Your address is confirmed", "The address is Ann's.")

    def _mail_link(self, laptop: Browser) -> Page:
        """Open the link in the newest mail, once it has arrived."""
        deadline = time.monotonic() + MAIL_DEADLINE_S
        while time.monotonic() < deadline:
            outbox = laptop.open(f"/t/{ORG}/accounts/outbox")
            if links := [url for url in outbox.links.values() if "/accounts/verify" in url]:
                return laptop.open(links[0])
            time.sleep(POLL_S)
        raise ExpectationFailed(f"No mail arrived within {MAIL_DEADLINE_S:.0f} seconds.")

    def _anonymous_again(self, laptop: Browser, visit: Visit, ann: SignedIn) -> None:
        self._narrator.chapter("Ann signs out and browses on", "Her browser still has the tracker.")
        self._sign_out(laptop, ann)
        found = self._back_end.call(
            "POST", "/profiles", {}, browser=laptop, meaning="the one this browser has"
        )
        self._narrator.profile(found.body)
        same = (found.status, found.body["profile_id"], found.body["user_id"])
        self._narrator.expect(
            same == (200, visit.profile_id, ann.user_id),
            "With and without a session, this browser maps to Ann's profile.",
        )

    def _second_browser(self, phone: Browser, visit: Visit) -> Visit:
        self._narrator.chapter(
            "Ann's phone",
            "Another browser, without a cookie. The service cannot recognise Ann and creates a "
            "second temporary profile.",
        )
        created = self._back_end.call("POST", "/profiles", {}, browser=phone)
        other = Visit(created.body["profile_id"], created.body["anonymous_profile_tracker"])
        self._narrator.fact("profile", other.profile_id)
        self._narrator.fact("tracker", other.tracker)
        self._write(other.profile_id, {"traits": {"interests": ["gardens"]}})
        self._write(other.profile_id, {"application_data": {BACKEND: {"basket": ["Roses"]}}})
        self._narrator.expect(other.profile_id != visit.profile_id, "Two browsers have two profiles for now.")
        return other

    def _sign_in_on_phone(self, phone: Browser, visit: Visit, other: Visit, ann: SignedIn) -> None:
        self._narrator.chapter("Ann signs in on the phone", "Now both profiles have the same user_id.")
        self._sign_in(phone, other.tracker, lambda page: self._credentials(phone, page, ANN))
        profile = self._read(visit.profile_id)
        self._narrator.provenance(profile.body)
        reason = {"profile_id": other.profile_id, "reason": "system:user_id_match"}
        self._narrator.expect(
            profile.body["merged_from"] == [reason], "The profiles were merged, and the reason is stored."
        )
        interests = profile.body["traits"]["interests"]
        self._narrator.expect(
            interests == ["chess", "gardens"], "combine collected the values of both profiles."
        )
        self._narrator.say("\n  The profile id of the phone still works and returns the unified profile:")
        old = self._read(other.profile_id)
        actual = (old.body["profile_id"], old.body["merged_to"]["profile_id"], old.body["user_id"])
        self._narrator.expect(
            actual == (other.profile_id, visit.profile_id, ann.user_id),
            "All earlier ids still work.",
        )

    def _later_activity(self, phone: Browser, visit: Visit, other: Visit, ann: SignedIn) -> None:
        self._narrator.chapter(
            "Later, on the phone, not signed in",
            "The shop recognises the browser by its tracker and writes to the profile id that it stored.",
        )
        found = self._back_end.call(
            "POST", "/profiles", {}, browser=phone, meaning="the one this browser has"
        )
        self._narrator.expect(found.body["user_id"] == ann.user_id, "The same tracker maps to the same user.")
        self._write(other.profile_id, {"traits": {"interests": ["chess", "gardens", "travel"]}})
        profile = self._read(visit.profile_id)
        self._narrator.expect(
            "travel" in profile.body["traits"]["interests"], "The value is in Ann's unified profile."
        )

    def _other_person(self, laptop: Browser, visit: Visit, ann: SignedIn) -> None:
        self._narrator.chapter(
            "Another person at Ann's laptop",
            "Ben borrows the laptop. Its tracker points to Ann's profile. He registers an account.",
        )
        before = self._read(visit.profile_id)
        ben = self._sign_in(laptop, visit.tracker, lambda page: self._registration(laptop, page, BEN))
        after = self._read(visit.profile_id)
        self._narrator.fact("version", after.version, f"it was {before.version}")
        self._narrator.expect(
            (before.version, before.body) == (after.version, after.body), "Ann's profile is unchanged."
        )
        found = self._back_end.call(
            "POST", "/profiles", {}, browser=laptop, meaning="the one this browser has now"
        )
        self._narrator.profile(found.body)
        self._narrator.expect(
            found.body["user_id"] == ben.user_id != ann.user_id,
            "Ben has his own profile, and the browser now maps to it.",
        )
        self._refusal(visit, found.body["profile_id"])
        self._narrator.say("\n  A request cannot merge two users either:")
        refused = self._back_end.call("PATCH", f"/profiles/{visit.profile_id}", {"user_id": ben.user_id})
        self._narrator.fact(refused.body["code"], refused.body["description"])
        self._narrator.expect(refused.status == 400, "A user_id is set once and never changed.")

    def _refusal(self, visit: Visit, other_id: str) -> None:
        self._narrator.say(
            "\n  The service records why it did not merge the profiles. It decides that on what"
            "\n  the business believes, and reading that takes a permission of its own:"
        )
        shop_token = self._back_end.token
        self._back_end.token = self._back_end.fetch_token(READER_PERMISSIONS)
        query, base = {"view": "all"}, f"/t/{ORG}/api/v1"
        found = self._back_end.call("GET", "/refusals", query=query, base=base)
        self._back_end.token = shop_token
        for refusal in found.body["refusals"]:
            profiles = " and ".join(profile_id[:8] + "…" for profile_id in refusal["profiles"])
            self._narrator.fact(refusal["code"], profiles, f"times: {refusal['times']}")
        pairs = [set(refusal["profiles"]) for refusal in found.body["refusals"]]
        self._narrator.expect(
            {visit.profile_id, other_id} in pairs, "The refusal is recorded: different_user."
        )

    def _verify(self) -> None:
        self._narrator.chapter(
            "The proof",
            "The service stores all observations in a log and derives the profiles from it. One command "
            "replays the log and compares the result.",
        )
        self._narrator.command(f"oneself verify --data-dir {self._stage.folder}")
        self._narrator.say(f"  {run_command(self._stage, 'verify')}")
        self._narrator.expect(True, "The profiles match the log.")

    def _browser(self) -> Browser:
        self._browsers.append(Browser(self._stage.service, self._stage.shop, self._narrator))
        return self._browsers[-1]

    def _write(self, profile_id: str, body: Mapping[str, Any]) -> None:
        written = self._back_end.call("PATCH", f"/profiles/{profile_id}", body)
        if written.status != 200:
            raise ExpectationFailed(f"The write returned {written.status}: {written.body}")
        self._narrator.profile(written.body)

    def _read(self, profile_id: str) -> Reply:
        found = self._back_end.call("GET", f"/profiles/{profile_id}", query=EVERYTHING)
        self._narrator.profile(found.body)
        return found

    def _sign_in(self, browser: Browser, tracker: str, fill_in: Any) -> SignedIn:
        """Sign a user in: authorize, fill in the form, exchange the code.

        `fill_in`: fills in the sign-in page.
        """
        verifier, challenge = pkce()
        state = secrets.token_urlsafe(16)
        page = browser.open(authorize_path(state, challenge, tracker, self._stage.callback))
        callback: Page = page if page.url.startswith(self._stage.shop) else fill_in(page)
        self._narrator.expect(
            callback.query.get("state") == state, "The response belongs to the shop's request."
        )
        tokens = self._back_end.exchange(callback.query["code"], verifier)
        subject = claims_of(tokens["id_token"])["sub"]
        self._narrator.fact("user_id", subject, "`sub` of the ID token")
        return SignedIn(tokens["id_token"], subject)

    def _registration(self, browser: Browser, page: Page, person: Mapping[str, str]) -> Page:
        return browser.fill(browser.click(page, "Create an account"), {**person, "password": PASSWORD})

    def _credentials(self, browser: Browser, page: Page, person: Mapping[str, str]) -> Page:
        return browser.fill(page, {"email": person["email"], "password": PASSWORD})

    def _sign_out(self, browser: Browser, person: SignedIn) -> None:
        query = {"id_token_hint": person.id_token, "post_logout_redirect_uri": f"{self._stage.shop}/"}
        browser.open(f"/t/{ORG}/oauth2/logout?{urlencode(query)}")


def authorize_path(state: str, challenge: str, tracker: str, callback: str, **parameters: str) -> str:
    """Return the path of the authorization request, with the tracker."""
    query = {
        "response_type": "code",
        "client_id": WEB,
        "redirect_uri": callback,
        "scope": " ".join(("openid", *WEB_PERMISSIONS)),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "anonymous_profile_tracker": tracker,
        **parameters,
    }
    return f"/t/{ORG}/oauth2/authorize?{urlencode(query)}"


def pkce() -> tuple[str, str]:
    """Return a code verifier and its S256 challenge (RFC 7636)."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of an ID token.

    The signature is not verified, because the token came directly from the token endpoint.
    """
    part = token.split(".")[1]
    claims: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
