"""The story of the seed `unify-anonymous-and-registered-profiles`, chapter by chapter; then that of events.

Law of this module: every step is a request that any customer's code could send, and every promise of the
seed is checked where it is kept. A broken promise ends the story (`teller.Broken`).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from oneself.demo.browser import Browser, Page
from oneself.demo.client import Client, Reply
from oneself.demo.events import Events
from oneself.demo.stage import BACKEND, ORG, SHOP_NAME, WEB, WEB_PERMISSIONS, Stage, run_command
from oneself.demo.teller import Broken, Teller

PASSWORD = "correct horse battery staple"  # noqa: S105 told to everybody who runs the demo
ANN = {"email": "ann@shop.example", "given_name": "Ann", "last_name": "Archer", "mobile": "+44 20 7946 0018"}
BEN = {"email": "ben@shop.example", "given_name": "Ben", "last_name": "Brook", "mobile": ""}
EVERYTHING = {"includeApplicationData": "true", "provenance": "true"}

SETUP_PERMISSIONS = ("internal_cds_profile_schema_create",)
#: Those of the seed's own example, and what the shop page needs of them.
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
    """What the shop remembers of a visitor."""

    profile_id: str
    tracker: str


class SignedIn(msgspec.Struct, frozen=True):
    """What the shop holds of a person who signed in."""

    id_token: str
    user_id: str


class Story:
    """Plays the chapters in order. `people`: each person's browsers are made here and closed here."""

    def __init__(self, stage: Stage, teller: Teller) -> None:
        self._stage = stage
        self._teller = teller
        self._back_end = Client(stage, teller)
        self._browsers: list[Browser] = []

    def close(self) -> None:
        for browser in self._browsers:
            browser.close()
        self._back_end.close()

    def play(self) -> None:
        """The whole story."""
        self._define_attributes()
        laptop = self._browser()
        visit = self._anonymous_visit(laptop)
        self._activity(visit)
        ann = self._registers(laptop, visit)
        self._anonymous_again(laptop, visit, ann)
        phone = self._browser()
        other = self._second_browser(phone, visit)
        self._signs_in_there(phone, visit, other, ann)
        self._later_activity(phone, visit, other, ann)
        self._stranger(laptop, visit, ann)
        self._proof()
        Events(self._stage, self._teller, self._back_end).play()

    def _define_attributes(self) -> None:
        self._teller.chapter(
            "What the shop wants to remember",
            "Activity is kept in profile attributes, which are defined first. Every request carries an "
            "access token; the shop's back end gets one for its client id and secret.",
        )
        self._back_end.token = self._back_end.fetch_token(SETUP_PERMISSIONS)
        self._teller.say(
            "\n  A [bold]trait[/] is shared by all applications. [bold]combine[/] lets its values add up."
        )
        self._back_end.call("POST", "/profile-schema/traits", [INTERESTS])
        self._teller.say("\n  [bold]Application data[/] belongs to one application, named by its client id.")
        made = self._back_end.call("POST", "/profile-schema/application_data", [BASKET])
        self._teller.expect(
            made.status == 201, "Two attributes are defined, and nothing else was configured."
        )

    def _anonymous_visit(self, laptop: Browser) -> Visit:
        self._teller.chapter(
            "Somebody opens the shop",
            "Nobody knows who it is. The back end makes a [bold]temporary profile[/] for the visitor.",
        )
        self._back_end.token = self._back_end.fetch_token(SHOP_PERMISSIONS)
        made = self._back_end.call("POST", "/profiles", {}, browser=laptop)
        visit = Visit(made.body["profile_id"], made.body["anonymous_profile_tracker"])
        self._teller.fact("profile", visit.profile_id, "temporary: it has no user_id")
        self._teller.fact("tracker", visit.tracker, "names this browser; in the cookie cds_profile too")
        self._teller.profile(made.body)
        self._teller.say("      [dim]From here on ids are shortened to their first eight characters.[/]")
        self._teller.expect("user_id" not in made.body, "A visitor without a name has a profile.")
        return visit

    def _activity(self, visit: Visit) -> None:
        self._teller.chapter(
            "The visitor looks around", "Each step is written to their profile as it happens."
        )
        self._write(visit.profile_id, {"traits": {"interests": ["chess"]}})
        self._write(visit.profile_id, {"application_data": {BACKEND: {"basket": ["The Endgame"]}}})
        self._teller.say("\n  A value goes where its attribute was defined. Anywhere else it is refused:")
        body = {"traits": {"basket": ["The Endgame"]}}
        refused = self._back_end.call("PATCH", f"/profiles/{visit.profile_id}", body)
        self._teller.fact(refused.body["code"], refused.body["description"])
        self._teller.expect(refused.status == 400, "A value under the wrong scope changes nothing.")

    def _registers(self, laptop: Browser, visit: Visit) -> SignedIn:
        self._teller.chapter(
            "The visitor registers: it is Ann",
            f"{SHOP_NAME} sends the browser to sign in (OAuth 2, authorization code with PKCE) and passes "
            "the [bold]tracker[/] along. Ann fills in the form, and is signed in.",
        )
        ann = self._arrive(laptop, visit.tracker, lambda page: self._registration(laptop, page, ANN))
        self._teller.say("\n  Signed in means unified: the very next read shows it.")
        profile = self._read(visit.profile_id)
        self._teller.provenance(profile.body)
        self._teller.expect(
            profile.body["user_id"] == ann.user_id, "The temporary profile gained Ann's user_id."
        )
        self._teller.expect(
            "merged_to" not in profile.body, "It kept its profile_id: it is her permanent profile now."
        )
        self._teller.expect(
            profile.body["traits"]["interests"] == ["chess"], "What she did before is still there."
        )
        return ann

    def _anonymous_again(self, laptop: Browser, visit: Visit, ann: SignedIn) -> None:
        self._teller.chapter("Ann signs out and browses on", "Her browser still carries the tracker.")
        self._sign_out(laptop, ann)
        found = self._back_end.call(
            "POST", "/profiles", {}, browser=laptop, meaning="the one this browser has"
        )
        self._teller.profile(found.body)
        same = (found.status, found.body["profile_id"], found.body["user_id"])
        self._teller.expect(
            same == (200, visit.profile_id, ann.user_id),
            "Signed in or not, this browser maps to Ann's profile.",
        )

    def _second_browser(self, phone: Browser, visit: Visit) -> Visit:
        self._teller.chapter(
            "Ann's phone",
            "Another browser, without a cookie. Nobody can know that it is Ann: a second temporary profile.",
        )
        made = self._back_end.call("POST", "/profiles", {}, browser=phone)
        other = Visit(made.body["profile_id"], made.body["anonymous_profile_tracker"])
        self._teller.fact("profile", other.profile_id)
        self._teller.fact("tracker", other.tracker)
        self._write(other.profile_id, {"traits": {"interests": ["gardens"]}})
        self._write(other.profile_id, {"application_data": {BACKEND: {"basket": ["Roses"]}}})
        self._teller.expect(other.profile_id != visit.profile_id, "Two browsers, two profiles, so far.")
        return other

    def _signs_in_there(self, phone: Browser, visit: Visit, other: Visit, ann: SignedIn) -> None:
        self._teller.chapter("Ann signs in on the phone", "Now both profiles have the same user_id.")
        self._arrive(phone, other.tracker, lambda page: self._credentials(phone, page, ANN))
        profile = self._read(visit.profile_id)
        self._teller.provenance(profile.body)
        reason = {"profile_id": other.profile_id, "reason": "system:user_id_match"}
        self._teller.expect(
            profile.body["merged_from"] == [reason], "They were merged, and the reason is kept."
        )
        together = profile.body["traits"]["interests"]
        self._teller.expect(together == ["chess", "gardens"], "combine put the values of both together.")
        self._teller.say("\n  The id that the phone knows still answers, with the unified profile:")
        old = self._read(other.profile_id)
        kept = (old.body["profile_id"], old.body["merged_to"]["profile_id"], old.body["user_id"])
        self._teller.expect(
            kept == (other.profile_id, visit.profile_id, ann.user_id),
            "No id that was ever given out is lost.",
        )

    def _later_activity(self, phone: Browser, visit: Visit, other: Visit, ann: SignedIn) -> None:
        self._teller.chapter(
            "Later, on the phone, not signed in",
            "The shop knows the browser by its tracker and writes to the profile id it has kept.",
        )
        found = self._back_end.call(
            "POST", "/profiles", {}, browser=phone, meaning="the one this browser has"
        )
        self._teller.expect(found.body["user_id"] == ann.user_id, "The same tracker maps to the same user.")
        self._write(other.profile_id, {"traits": {"interests": ["chess", "gardens", "travel"]}})
        profile = self._read(visit.profile_id)
        self._teller.expect("travel" in profile.body["traits"]["interests"], "It reached Ann's one profile.")

    def _stranger(self, laptop: Browser, visit: Visit, ann: SignedIn) -> None:
        self._teller.chapter(
            "A stranger at Ann's laptop",
            "Ben borrows the laptop. Its tracker points at Ann's profile. He registers for himself.",
        )
        before = self._read(visit.profile_id)
        ben = self._arrive(laptop, visit.tracker, lambda page: self._registration(laptop, page, BEN))
        after = self._read(visit.profile_id)
        self._teller.fact("version", after.version, f"it was {before.version}")
        self._teller.expect(
            (before.version, before.body) == (after.version, after.body), "Ann's profile is untouched."
        )
        found = self._back_end.call(
            "POST", "/profiles", {}, browser=laptop, meaning="the one this browser has now"
        )
        self._teller.profile(found.body)
        self._teller.expect(
            found.body["user_id"] == ben.user_id != ann.user_id,
            "Ben has his own, and the browser moved to it.",
        )
        self._refusal(visit, found.body["profile_id"])
        self._teller.say("\n  Nor can two people be made one by asking for it:")
        refused = self._back_end.call("PATCH", f"/profiles/{visit.profile_id}", {"user_id": ben.user_id})
        self._teller.fact(refused.body["code"], refused.body["description"])
        self._teller.expect(refused.status == 400, "A user_id is set once and never changed.")

    def _refusal(self, visit: Visit, other_id: str) -> None:
        self._teller.say("\n  That they were not joined is a decision like any other, and can be looked up:")
        found = self._back_end.call("GET", "/refusals", below=f"/t/{ORG}/api/v1")
        for refusal in found.body["refusals"]:
            profiles = " and ".join(profile_id[:8] + "…" for profile_id in refusal["profiles"])
            self._teller.fact(refusal["code"], profiles, f"times: {refusal['times']}")
        pairs = [set(refusal["profiles"]) for refusal in found.body["refusals"]]
        self._teller.expect({visit.profile_id, other_id} in pairs, "The refusal is recorded: different_user.")

    def _proof(self) -> None:
        self._teller.chapter(
            "The proof",
            "All of this is kept as a log of what was observed; profiles are what the log folds to. One "
            "command folds it again and compares.",
        )
        self._teller.command(f"oneself verify --data-dir {self._stage.folder}")
        self._teller.say(f"  {run_command(self._stage, 'verify')}")
        self._teller.expect(True, "What was shown is what happened.")

    def _browser(self) -> Browser:
        self._browsers.append(Browser(self._stage.service, self._stage.shop, self._teller))
        return self._browsers[-1]

    def _write(self, profile_id: str, body: Mapping[str, Any]) -> None:
        written = self._back_end.call("PATCH", f"/profiles/{profile_id}", body)
        if written.status != 200:
            raise Broken(f"The write was answered {written.status}: {written.body}")
        self._teller.profile(written.body)

    def _read(self, profile_id: str) -> Reply:
        found = self._back_end.call("GET", f"/profiles/{profile_id}", query=EVERYTHING)
        self._teller.profile(found.body)
        return found

    def _arrive(self, browser: Browser, tracker: str, prove: Any) -> SignedIn:
        """Authorize, let the person prove who they are, exchange the code."""
        verifier, challenge = pkce()
        state = secrets.token_urlsafe(16)
        page = browser.open(authorize_path(state, challenge, tracker, self._stage.callback))
        arrived: Page = page if page.url.startswith(self._stage.shop) else prove(page)
        self._teller.expect(
            arrived.query.get("state") == state, "The answer belongs to the shop's own request."
        )
        tokens = self._back_end.exchange(arrived.query["code"], verifier)
        subject = claims_of(tokens["id_token"])["sub"]
        self._teller.fact("user_id", subject, "`sub` of the ID token")
        return SignedIn(tokens["id_token"], subject)

    def _registration(self, browser: Browser, page: Page, person: Mapping[str, str]) -> Page:
        return browser.fill(browser.click(page, "Create an account"), {**person, "password": PASSWORD})

    def _credentials(self, browser: Browser, page: Page, person: Mapping[str, str]) -> Page:
        return browser.fill(page, {"email": person["email"], "password": PASSWORD})

    def _sign_out(self, browser: Browser, person: SignedIn) -> None:
        query = {"id_token_hint": person.id_token, "post_logout_redirect_uri": f"{self._stage.shop}/"}
        browser.open(f"/t/{ORG}/oauth2/logout?{urlencode(query)}")


def authorize_path(state: str, challenge: str, tracker: str, callback: str, **more: str) -> str:
    """Where the shop sends a browser to sign in; the tracker goes along."""
    query = {
        "response_type": "code",
        "client_id": WEB,
        "redirect_uri": callback,
        "scope": " ".join(("openid", *WEB_PERMISSIONS)),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "anonymous_profile_tracker": tracker,
        **more,
    }
    return f"/t/{ORG}/oauth2/authorize?{urlencode(query)}"


def pkce() -> tuple[str, str]:
    """A code verifier and its S256 challenge (RFC 7636)."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    """What an ID token says. It came straight from the service, so its signature need not be asked."""
    part = token.split(".")[1]
    claims: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
