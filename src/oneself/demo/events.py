"""The chapters about events: three scenarios of identity mapping on a dataset of their own.

Invariants: every event is one that a web page could send. Each chapter reads the result back and checks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneself.demo.client import Client, Reply
from oneself.demo.narrator import Narrator
from oneself.demo.stage import DATASET, ORG, Stage, run_command

DEVICE = "0123456789abcdef"
WEB_ID, EMAIL = "abc123", "ann@acme.example"
BY_EMAIL = f"emailAddress={EMAIL}"

#: To look up what pages say of people.
READER_PERMISSIONS = ("internal_cds_profile_view", "internal_cds_profile_view_all")

#: The equivalent events of a scenario: their namespace and the field `user`.
EventUser = tuple[str, dict[str, Any]]
SALESFORCE, EVERGAGE = "Salesforce", "Evergage"
ONE: tuple[EventUser, ...] = (
    (SALESFORCE, {"anonymousId": DEVICE, "id": WEB_ID}),
    (SALESFORCE, {"anonymousId": DEVICE, "identities": {"webId": WEB_ID}}),
    (SALESFORCE, {"anonymousId": DEVICE, "attributes": {"webId": WEB_ID}}),
    (EVERGAGE, {"anonId": DEVICE, "id": WEB_ID}),
    (EVERGAGE, {"anonId": DEVICE, "attributes": {"webId": WEB_ID}}),
)
TWO: tuple[EventUser, ...] = (
    (SALESFORCE, {"anonymousId": DEVICE, "identities": {"emailAddress": EMAIL}}),
    (SALESFORCE, {"anonymousId": DEVICE, "attributes": {"emailAddress": EMAIL}}),
    (EVERGAGE, {"anonId": DEVICE, "attributes": {"emailAddress": EMAIL}}),
)
THREE: tuple[EventUser, ...] = (
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
    """Plays the scenarios in order. Each one depends on the previous ones."""

    def __init__(self, stage: Stage, narrator: Narrator, client: Client) -> None:
        self._stage = stage
        self._narrator = narrator
        self._client = client

    def play(self) -> None:
        """Play all scenarios. Raises ExpectationFailed."""
        self._configure()
        by_web_id = self._identify_by_web_id()
        by_email = self._identify_by_email(by_web_id)
        self._merge_both(by_web_id, by_email)

    def _configure(self) -> None:
        self._narrator.chapter(
            "The same with events of web pages",
            "Pages with the Salesforce Interactions SDK or the Evergage beacon send events. They go to a "
            "[bold]dataset[/], which defines its identity attributes. Four commands configure it:",
        )
        for arguments in SETUP:
            self._narrator.command(
                "oneself "
                + " ".join(f"'{argument}'" if " " in argument else argument for argument in arguments)
            )
            run_command(self._stage, *arguments)
        self._narrator.say(
            "\n  [bold]user.id[/] in events of pages is now a webId. [bold]fresh[/]: the browser is"
            "\n  shared, so an event without identity creates a new profile."
        )
        self._narrator.say(
            "\n  Pages send events without credentials. What they say of people is believed,"
            "\n  not proven. A look-up of what is believed takes a permission of its own:"
        )
        self._client.token = self._client.fetch_token(READER_PERMISSIONS)

    def _identify_by_web_id(self) -> str:
        self._narrator.chapter(
            "Scenario 1: only the web id is known",
            "A visitor looks around. The SDK generated an anonymous id for the browser.",
        )
        seen = self._send(SALESFORCE, "View Catalog", {"anonymousId": DEVICE})
        self._narrator.expect(
            seen.body["resolvedUserId"] == DEVICE,
            "The visitor is unknown; the anonymous id is the primary id.",
        )
        self._narrator.say("\n  The visitor signs in, and the page sends the web id:")
        answer = self._send(SALESFORCE, "Sign In", ONE[0][1])
        user_id = str(answer.body["resolvedUserId"])
        self._narrator.expect(
            len(user_id) == 24, "No profile had this web id: a user was created, with a generated primary id."
        )
        self._activity(user_id, ["Sign In", "View Catalog"])
        self._send_token(answer, user_id)
        self._send_equivalents("Sign In", ONE[1:], user_id)
        return user_id

    def _send_token(self, answer: Reply, user_id: str) -> None:
        token = answer.body["persistedUserId"]["entityId"]
        self._narrator.say("\n  The browser stores the token and sends only the token from now on:")
        later = self._send(SALESFORCE, "View Book", {"anonymousId": DEVICE, "encryptedId": token})
        self._narrator.expect(
            later.body["resolvedUserId"] == user_id and later.body["persistedUserId"]["entityId"] == token,
            "The token alone identifies the user. It stays the same while the event contains nothing new.",
        )

    def _identify_by_email(self, other: str) -> str:
        self._narrator.chapter(
            "Scenario 2: only the e-mail address is known",
            "Another day, without a token, a visitor follows the link in a newsletter, which contains their "
            "e-mail address. This page uses the Evergage beacon.",
        )
        self._send(EVERGAGE, "View Offer", {"anonId": DEVICE})
        answer = self._send(EVERGAGE, "Newsletter Click", TWO[2][1])
        user_id = str(answer.body["resolvedUserId"])
        self._narrator.expect(
            len(user_id) == 24 and user_id != other,
            "No profile had this address, and the browser is no proof of identity: a second user.",
        )
        self._activity(user_id, ["Newsletter Click", "View Offer"])
        self._send_equivalents("Newsletter Click", TWO[:2], user_id)
        return user_id

    def _merge_both(self, by_web_id: str, by_email: str) -> None:
        self._narrator.chapter(
            "Scenario 3: both are known, and match two users",
            "The reader of the newsletter signs in. Now one event contains both.",
        )
        answer = self._send(SALESFORCE, "Sign In", THREE[0][1])
        self._narrator.expect(
            answer.body["resolvedUserId"] == by_email, "The user with the latest activity survives the merge."
        )
        self._send_equivalents("Sign In", THREE[1:], by_email)
        self._narrator.say("\n  The id of the other user still works and returns the unified profile:")
        record = self._client.call(
            "GET", f"/datasets/{DATASET}/profiles/{by_web_id}", base=f"/t/{ORG}/api/v1"
        ).body
        self._narrator.fact("primary id", record["primary_id"])
        self._narrator.fact("aliases", ", ".join(record["aliases"]))
        self._narrator.profile(record)
        self._narrator.expect(
            record["identity_attributes"] == {"webId": WEB_ID, "emailAddress": EMAIL}
            and by_web_id in record["aliases"],
            "One user with both identities; all earlier ids still work.",
        )
        self._check_resolve(by_email)

    def _check_resolve(self, user_id: str) -> None:
        self._narrator.say(
            "\n  Which user would an event with this address be assigned to? The command changes nothing:"
        )
        self._narrator.command(f"oneself resolve --dataset {DATASET} {BY_EMAIL}")
        result = run_command(self._stage, "resolve", "--dataset", DATASET, BY_EMAIL)
        self._narrator.say(f"  {result}")
        self._narrator.expect(
            result == user_id, "The same user in events, over HTTP and on the command line."
        )

    def _send(self, namespace: str, name: str, user: dict[str, Any]) -> Reply:
        answer = self._client.send(event(namespace, name, user))
        self._narrator.fact("resolved", answer.body["resolvedUserId"])
        if "persistedUserId" in answer.body:
            token = answer.body["persistedUserId"]["entityId"]
            self._narrator.fact("token", f"{token[:12]}…", "encrypted: the user and the identities")
        return answer

    def _send_equivalents(self, name: str, equivalents: Sequence[EventUser], user_id: str) -> None:
        self._narrator.say("\n  The same event in the other formats:")
        answers = [
            self._client.send_briefly(namespace, event(namespace, name, user))
            for namespace, user in equivalents
        ]
        resolved = {answer.body["resolvedUserId"] for answer in answers}
        self._narrator.expect(resolved == {user_id}, "All formats resolve to the same user.")

    def _activity(self, user_id: str, names: list[str]) -> None:
        """Read and check the activity of a user, newest first."""
        self._narrator.say("\n  The activity of the unknown visitor now belongs to the user:")
        path = f"/datasets/{DATASET}/profiles/{user_id}/events"
        result = [
            event["name"] for event in self._client.call("GET", path, base=f"/t/{ORG}/api/v1").body["events"]
        ]
        self._narrator.fact("activity", ", ".join(result), "newest first")
        self._narrator.expect(result == names, "The earlier activity was merged into the user.")


def event(namespace: str, name: str, user: dict[str, Any]) -> dict[str, Any]:
    """Return an event as pages of this namespace send it."""
    document = {"interaction": {"name": name}} if namespace == SALESFORCE else {"action": name}
    return {**document, "user": user}
