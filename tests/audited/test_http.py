"""Every request with which an application changes something that an administrator could change is audited."""

from __future__ import annotations

from typing import Any

import msgspec

from audited.recorder import Reasons, Recorder, assert_listed, routes
from support.caller import Cds

ADMIN, CDS = "/t/{org}/api/v1", "/t/{org}/cds/api/v1"
ISSUERS, KEYS = f"{ADMIN}/identity-provider/trusted-issuers", f"{ADMIN}/datasets/{{dataset}}/write-keys"
SECRETS = ("a secret of a server", "a password of a sync", "a password of ann", "another one of ann")
ATTRIBUTE = {
    "attribute_name": "traits.plan",
    "value_type": "string",
    "merge_strategy": "overwrite",
    "mutability": "readWrite",
}
ANN = {"username": "ann@x.example", "given_name": "Ann", "last_name": "Lee", "password": SECRETS[2]}
SERVER = {"url": "https://is.example", "client_id": "oneself", "client_secret": SECRETS[0]}


class Change(msgspec.Struct, frozen=True):
    """A request that changes something. `path`: of the route. In braces: what earlier answers had.

    `remembers`: name in braces → field of the answer.
    """

    method: str
    path: str
    kind: str
    body: Any = None
    remembers: dict[str, str] = {}

    @property
    def operation(self) -> str:
        return f"{self.method} {self.path}"


#: In an order in which each finds what it changes.
CHANGES = (
    Change("POST", f"{ADMIN}/applications", "application", {"name": "Shop"}, {"client_id": "client_id"}),
    Change("PATCH", f"{ADMIN}/applications/{{client_id}}", "application", {"name": "Shop 2"}),
    Change("DELETE", f"{ADMIN}/applications/{{client_id}}", "application"),
    Change("PUT", f"{ADMIN}/code-webhook", "code_webhook", {"url": "https://sms.example/codes"}),
    Change("DELETE", f"{ADMIN}/code-webhook", "code_webhook"),
    Change("POST", f"{ADMIN}/webhooks", "webhook", {"url": "https://crm.example"}, {"webhook_id": "id"}),
    Change("PATCH", f"{ADMIN}/webhooks/{{webhook_id}}", "webhook", {"view": "all"}),
    Change("DELETE", f"{ADMIN}/webhooks/{{webhook_id}}", "webhook"),
    Change("POST", ISSUERS, "issuer", {"issuer": "https://login.example"}, {"issuer_id": "issuer_id"}),
    Change("PATCH", f"{ISSUERS}/{{issuer_id}}", "issuer", {"verified_claims": "never"}),
    Change("DELETE", f"{ISSUERS}/{{issuer_id}}", "issuer"),
    Change("POST", f"{ADMIN}/token-keys", "token_key", None, {"key_id": "key_id"}),
    Change("DELETE", f"{ADMIN}/token-keys/{{key_id}}", "token_key"),
    Change("POST", f"{ADMIN}/claims", "configure", {"name": "shoeSize"}, {"name": "name"}),
    Change("PATCH", f"{ADMIN}/claims/{{name}}", "configure", {"display_name": "Shoe size"}),
    Change("DELETE", f"{ADMIN}/claims/{{name}}", "configure"),
    Change("POST", f"{ADMIN}/identity-provider", "identity_server", SERVER),
    Change(
        "PATCH",
        f"{ADMIN}/identity-provider",
        "identity_server",
        {"sync_username": "is", "sync_password": SECRETS[1]},
    ),
    Change("DELETE", f"{ADMIN}/identity-provider", "identity_server"),
    Change("POST", f"{ADMIN}/users", "account", ANN, {"user_id": "user_id"}),
    Change(
        "PATCH",
        f"{ADMIN}/users/{{user_id}}",
        "account",
        {"given_name": "Anna", "password": SECRETS[3], "email_verified": True},
    ),
    Change("DELETE", f"{ADMIN}/users/{{user_id}}", "account"),
    Change("POST", f"{ADMIN}/datasets", "dataset", {"name": "web"}, {"dataset": "name"}),
    Change("PATCH", f"{ADMIN}/datasets/{{dataset}}", "configure", {"label": "Web"}),
    Change("POST", KEYS, "configure", {"kind": "server", "name": "Shop"}, {"key_id": "key_id"}),
    Change("DELETE", f"{KEYS}/{{key_id}}", "configure"),
    Change("POST", f"{ADMIN}/identity-types", "configure", {"id": "loyalty"}, {"type_id": "id"}),
    Change("PATCH", f"{ADMIN}/identity-types/{{type_id}}", "configure", {"label": "Loyalty number"}),
    Change(
        "PUT",
        f"{ADMIN}/datasets/{{dataset}}/identity-attributes",
        "configure",
        {"identity_attributes": [{"name": "loyalty", "identity_type": "loyalty"}]},
    ),
    Change("PUT", f"{ADMIN}/datasets/{{dataset}}/channel-identities", "configure", {"Web": "loyalty"}),
    Change("DELETE", f"{ADMIN}/datasets/{{dataset}}", "dataset"),
    Change("DELETE", f"{ADMIN}/identity-types/{{type_id}}", "configure"),
    Change("PATCH", f"{ADMIN}/protection", "configure", {"profiles_per_merge_max": 7}),
    Change("PATCH", f"{CDS}/config", "configure", {"system_applications": ["crm", "erp"]}),
    Change(
        "POST",
        f"{CDS}/consent-categories",
        "configure",
        {"category_name": "News", "purpose": "personalization", "destinations": []},
        {"category_id": "category_identifier"},
    ),
    Change(
        "PUT",
        f"{CDS}/consent-categories/{{category_id}}",
        "configure",
        {"category_name": "Newsletter", "purpose": "personalization", "destinations": []},
    ),
    Change("DELETE", f"{CDS}/consent-categories/{{category_id}}", "configure"),
    Change(
        "POST",
        f"{CDS}/profile-schema/{{section}}",
        "configure",
        [ATTRIBUTE],
        {"attribute_id": "attribute_id"},
    ),
    Change(
        "PUT",
        f"{CDS}/profile-schema/{{section}}/{{attribute_id}}",
        "configure",
        {**ATTRIBUTE, "display_name": "Plan"},
    ),
    Change(
        "POST",
        f"{CDS}/unification-rules",
        "configure",
        {"rule_name": "By plan", "property_name": "traits.plan", "priority": 1, "is_active": True},
        {"rule_id": "rule_id"},
    ),
    Change("PATCH", f"{CDS}/unification-rules/{{rule_id}}", "configure", {"rule_name": "Plan"}),
    Change("DELETE", f"{CDS}/unification-rules/{{rule_id}}", "configure"),
    Change("DELETE", f"{CDS}/profile-schema/{{section}}/{{attribute_id}}", "configure"),
    Change("POST", f"{CDS}/profile-schema/{{section}}", "configure", [ATTRIBUTE]),
    Change("DELETE", f"{CDS}/profile-schema/{{section}}", "configure"),
    Change("POST", f"{CDS}/profile-schema/{{section}}", "configure", [ATTRIBUTE]),
    Change("DELETE", f"{CDS}/profile-schema", "configure"),
)
#: Decisions about people, carried out on two profiles.
DECISIONS = (
    (f"POST {ADMIN}/profiles/{{profile_id}}/merge", "merge"),
    (f"POST {ADMIN}/profiles/{{profile_id}}/split", "split"),
    (f"POST {ADMIN}/datasets/{{dataset}}/profiles/{{profile_id}}/merge", "merge"),
    (f"POST {ADMIN}/datasets/{{dataset}}/profiles/{{profile_id}}/split", "split"),
    (f"POST {ADMIN}/profiles/{{profile_id}}/erase", "erase"),
)
NO_ENTRY: Reasons = {
    "It shows what would happen, or reads.": (
        f"POST {ADMIN}/datasets/{{dataset}}/preview",
        f"POST {ADMIN}/datasets/{{dataset}}/resolve",
        f"POST {ADMIN}/unification-rules/preview",
        "POST /t/{org}/oauth2/introspect",
        "POST /t/{org}/oauth2/userinfo",
    ),
    "It sends what was to be sent, and changes no setting.": (
        f"POST {ADMIN}/webhooks/{{webhook_id}}/deliveries",
        f"POST {ADMIN}/webhooks/{{webhook_id}}/test",
    ),
    "It writes data of people; the history of the profile has it.": (
        f"POST {CDS}/profiles",
        f"PATCH {CDS}/profiles/{{profile_id}}",
        f"PATCH {CDS}/profiles/Me",
        f"PUT {CDS}/profiles/{{profile_id}}/consents",
        f"POST {CDS}/profiles/link",
        f"POST {CDS}/profiles/sync",
    ),
    "It asks that claims are read again; each claim that differs then has an entry.": (
        f"POST {CDS}/profile-schema/sync",
    ),
    "It erases people; test_erasures_of_other_interfaces carries it out.": (
        f"DELETE {CDS}/profiles/{{profile_id}}",
        "POST /t/{org}/api/dataset/{dataset}/users/delete",
        "POST /api/dataset/{dataset}/users/delete",
    ),
    "People sign in, or change their own account.": (
        "POST /t/{org}/oauth2/authorize",
        "POST /t/{org}/oauth2/logout",
        "POST /t/{org}/oauth2/revoke",
        "POST /t/{org}/oauth2/token",
        *(
            f"POST /t/{{org}}/accounts/{step}"
            for step in (
                *("delete", "email", "email/cancel", "email/confirm", "email/return", "login", "mobile"),
                *("mobile/send", "mobile/verify", "mobile/withdraw", "password", "recover", "recover/link"),
                *("register", "verify", "verify/send", "verify/withdraw"),
            )
        ),
    ),
}


def test_every_route_is_audited_or_has_a_reason() -> None:
    carried_out = {change.operation for change in CHANGES} | {operation for operation, _ in DECISIONS}
    listed = {operation for operation in routes() if " /console/" not in operation}
    assert_listed(listed, carried_out, NO_ENTRY)


async def test_every_change_has_an_entry_with_its_actor_and_no_secret(cds: Cds) -> None:
    recorder, known = Recorder(cds.services, cds.dataset_ref), {"org": "acme", "section": "traits"}
    token, secrets = await cds.token(), list(SECRETS)
    await recorder.new()
    for change in CHANGES:
        answer = await cds.http.request(
            change.method,
            change.path.format(**known),
            headers={"Authorization": f"Bearer {token}"},
            json=change.body,
        )
        assert answer.is_success, (change.operation, answer.text)
        document = answer.json() if answer.content else {}
        document = document[0] if isinstance(document, list) else document
        known |= {name: str(document[field]) for name, field in change.remembers.items()}
        secrets += [document[name] for name in ("secret", "client_secret", "key") if document.get(name)]
        interface = "cds" if change.path.startswith(CDS) else "admin"
        await recorder.assert_recorded(change.operation, change.kind, interface=interface, application="crm")
    stored = await recorder.stored()
    assert "https://login.example" in stored
    assert len(secrets) > len(SECRETS) + 3
    assert [secret for secret in secrets if secret in stored] == []
    assert not any(of_ann in stored for of_ann in ("ann@x.example", "Anna", known["user_id"]))


async def test_every_decision_about_people_has_an_entry(cds: Cds) -> None:
    recorder, headers = (
        Recorder(cds.services, cds.dataset_ref),
        {"Authorization": f"Bearer {await cds.token()}"},
    )
    one, other = [(await cds.create(traits={}))["profile_id"] for _ in range(2)]
    await recorder.new()
    for operation, kind in DECISIONS:
        path = operation.removeprefix("POST ").format(org="acme", dataset="default", profile_id=one)
        body = {"merge": {"with": other}, "split": {"all": True}, "erase": None}[kind]
        answer = await cds.http.post(path, headers=headers, json=body)
        assert answer.is_success, (operation, answer.text)
        await recorder.assert_recorded(operation, kind, interface="admin", application="crm")


async def test_erasures_of_other_interfaces(cds: Cds) -> None:
    recorder = Recorder(cds.services, cds.dataset_ref)
    people = [(await cds.create(traits={}))["profile_id"] for _ in range(2)]
    await recorder.new()
    assert (await cds("DELETE", f"/profiles/{people[0]}")).is_success
    await recorder.assert_recorded("DELETE", "erase", interface="cds", application="crm")
    answer = await cds.http.post(
        "/t/acme/api/dataset/default/users/delete",
        auth=("crm", "a secret of the tests"),
        files={"file": ("users.csv", f"name\n{people[1]}\n")},
    )
    assert "Deleted 1 users" in answer.text
    await recorder.assert_recorded("users/delete", "erase", interface="interactions", application="crm")
