"""The three scenarios of the seed `user-identity-mapping`, with its own values, on a dataset of their own.

Law of this module: every event is one that a page could send; what became of it is read back, and every
promise of the seed is checked where it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneself.demo.client import Client, Reply
from oneself.demo.stage import DATASET, ORG, Stage, run_command
from oneself.demo.teller import Teller

DEVICE = "0123456789abcdef"
WEB_ID, EMAIL = "abc123", "ann@acme.example"
BY_EMAIL = f"emailAddress={EMAIL}"

#: Each scenario in every spelling of the wire: the namespace, and the `user` of the event.
Spelling = tuple[str, dict[str, Any]]
SALESFORCE, EVERGAGE = "Salesforce", "Evergage"
ONE: tuple[Spelling, ...] = (
    (SALESFORCE, {"anonymousId": DEVICE, "id": WEB_ID}),
    (SALESFORCE, {"anonymousId": DEVICE, "identities": {"webId": WEB_ID}}),
    (SALESFORCE, {"anonymousId": DEVICE, "attributes": {"webId": WEB_ID}}),
    (EVERGAGE, {"anonId": DEVICE, "id": WEB_ID}),
    (EVERGAGE, {"anonId": DEVICE, "attributes": {"webId": WEB_ID}}),
)
TWO: tuple[Spelling, ...] = (
    (SALESFORCE, {"anonymousId": DEVICE, "identities": {"emailAddress": EMAIL}}),
    (SALESFORCE, {"anonymousId": DEVICE, "attributes": {"emailAddress": EMAIL}}),
    (EVERGAGE, {"anonId": DEVICE, "attributes": {"emailAddress": EMAIL}}),
)
THREE: tuple[Spelling, ...] = (
    (SALESFORCE, {"anonymousId": DEVICE, "identities": {"webId": WEB_ID, "emailAddress": EMAIL}}),
    (SALESFORCE, {"anonymousId": DEVICE, "id": WEB_ID, "attributes": {"emailAddress": EMAIL}}),
    (EVERGAGE, {"anonId": DEVICE, "id": WEB_ID, "attributes": {"emailAddress": EMAIL}}),
)

SETUP = (
    ("identity-type", "create", "webId", "--label", "Web ID", "--case-sensitive"),
    ("dataset", "create", DATASET, "--merged-anonymous", "fresh"),
    ("dataset", "attributes", DATASET, "--bind", "webId", "--bind", "emailAddress"),
    ("dataset", "channels", DATASET, "--set", "Web=webId"),
)


class Events:
    """Plays the scenarios one after another: what one leaves is what the next one finds."""

    def __init__(self, stage: Stage, teller: Teller, client: Client) -> None:
        self._stage = stage
        self._teller = teller
        self._client = client

    def play(self) -> None:
        self._configure()
        by_web_id = self._only_the_web_id()
        by_email = self._only_the_email(by_web_id)
        self._both(by_web_id, by_email)

    def _configure(self) -> None:
        self._teller.chapter(
            "The same for events of web pages",
            "Pages with the Salesforce Interactions SDK or the Evergage beacon send events. They go to a "
            "[bold]dataset[/], which says what identifies a person there. Four commands:",
        )
        for arguments in SETUP:
            self._teller.command(
                "oneself "
                + " ".join(f"'{argument}'" if " " in argument else argument for argument in arguments)
            )
            run_command(self._stage, *arguments)
        self._teller.say(
            "\n  [bold]user.id[/] of a page's event now means webId. [bold]fresh[/]: many people use this "
            "browser, so whoever\n  comes back to it unknown is somebody new."
        )

    def _only_the_web_id(self) -> str:
        self._teller.chapter(
            "Scenario 1: only the web id is known",
            "Somebody looks around; the SDK made an id for the browser.",
        )
        seen = self._send(SALESFORCE, "View Catalog", {"anonymousId": DEVICE})
        self._teller.expect(seen.body["resolvedUserId"] == DEVICE, "Unknown, and called as the browser is.")
        self._teller.say("\n  They sign in, and the page says who it is:")
        answer = self._send(SALESFORCE, "Sign In", ONE[0][1])
        user_id = str(answer.body["resolvedUserId"])
        self._teller.expect(
            len(user_id) == 24, "Nobody had this web id: a user was made, with an id that the server chose."
        )
        self._activity(user_id, ["Sign In", "View Catalog"])
        self._carry_on(answer, user_id)
        self._spelt_otherwise("Sign In", ONE[1:], user_id)
        return user_id

    def _carry_on(self, answer: Reply, user_id: str) -> None:
        token = answer.body["persistedUserId"]["entityId"]
        self._teller.say("\n  The browser keeps the token, and needs to say nothing else from now on:")
        later = self._send(SALESFORCE, "View Book", {"anonymousId": DEVICE, "encryptedId": token})
        self._teller.expect(
            later.body["resolvedUserId"] == user_id and later.body["persistedUserId"]["entityId"] == token,
            "Known by the token alone, which stands as it is while nothing new is said.",
        )

    def _only_the_email(self, other: str) -> str:
        self._teller.chapter(
            "Scenario 2: only the e-mail address is known",
            "Another day, without a token, somebody comes by the link in a newsletter, which tells their "
            "address. This page runs the Evergage beacon.",
        )
        self._send(EVERGAGE, "View Offer", {"anonId": DEVICE})
        answer = self._send(EVERGAGE, "Newsletter Click", TWO[2][1])
        user_id = str(answer.body["resolvedUserId"])
        self._teller.expect(
            len(user_id) == 24 and user_id != other,
            "Nobody had this address, and the browser proves nothing: a second user.",
        )
        self._activity(user_id, ["Newsletter Click", "View Offer"])
        self._spelt_otherwise("Newsletter Click", TWO[:2], user_id)
        return user_id

    def _both(self, by_web_id: str, by_email: str) -> None:
        self._teller.chapter(
            "Scenario 3: both are known, and match two users",
            "The reader of the newsletter signs in. Now one event tells both.",
        )
        answer = self._send(SALESFORCE, "Sign In", THREE[0][1])
        self._teller.expect(answer.body["resolvedUserId"] == by_email, "The one who was active last is kept.")
        self._spelt_otherwise("Sign In", THREE[1:], by_email)
        self._teller.say("\n  The id of the other one still answers, with what both are now:")
        record = self._client.call(
            "GET", f"/datasets/{DATASET}/profiles/{by_web_id}", below=f"/t/{ORG}/api/v1"
        ).body
        self._teller.fact("called", record["primary_id"])
        self._teller.fact("once", ", ".join(record["aliases"]))
        self._teller.profile(record)
        self._teller.expect(
            record["identity_attributes"] == {"webId": WEB_ID, "emailAddress": EMAIL}
            and by_web_id in record["aliases"],
            "One user with both identities; no id that was ever given out is lost.",
        )
        self._resolve(by_email)

    def _resolve(self, user_id: str) -> None:
        self._teller.say("\n  Who would the next event with this address go to? Asking changes nothing:")
        self._teller.command(f"oneself resolve --dataset {DATASET} {BY_EMAIL}")
        found = run_command(self._stage, "resolve", "--dataset", DATASET, BY_EMAIL)
        self._teller.say(f"  {found}")
        self._teller.expect(
            found == user_id, "The same user, from the page, over HTTP and at the command line."
        )

    def _send(self, namespace: str, name: str, user: dict[str, Any]) -> Reply:
        answer = self._client.send(event(namespace, name, user))
        self._teller.fact("resolved", answer.body["resolvedUserId"])
        if "persistedUserId" in answer.body:
            token = answer.body["persistedUserId"]["entityId"]
            self._teller.fact("token", f"{token[:12]}…", "sealed: who it is, and by what")
        return answer

    def _spelt_otherwise(self, name: str, spellings: Sequence[Spelling], user_id: str) -> None:
        self._teller.say("\n  The same event in the other spellings:")
        answers = [
            self._client.send_briefly(namespace, event(namespace, name, user))
            for namespace, user in spellings
        ]
        resolved = {answer.body["resolvedUserId"] for answer in answers}
        self._teller.expect(resolved == {user_id}, "All of them go to the same user.")

    def _activity(self, user_id: str, names: list[str]) -> None:
        """What the user did, the newest first, as far as it is told here."""
        self._teller.say("\n  What the unknown visitor did is theirs now:")
        path = f"/datasets/{DATASET}/profiles/{user_id}/events"
        found = [
            event["name"] for event in self._client.call("GET", path, below=f"/t/{ORG}/api/v1").body["events"]
        ]
        self._teller.fact("activity", ", ".join(found), "the newest first")
        self._teller.expect(found == names, "Their earlier activity was merged into the user.")


def event(namespace: str, name: str, user: dict[str, Any]) -> dict[str, Any]:
    """An event as pages of this namespace send it."""
    document = {"interaction": {"name": name}} if namespace == SALESFORCE else {"action": name}
    return {**document, "user": user}
