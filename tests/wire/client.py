"""A client of the CDS wire: tokens by client credentials, requests under `/t/{org}/cds/api/v1`.

It follows docs/wire/cds.md and imports nothing from `oneself`. It stores no cookies; `browser.py` does.
"""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Iterable
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

PREFIX = "internal_cds_"

PERMISSIONS = frozenset(
    PREFIX + name
    for name in (
        "profile_create",
        "profile_view",
        "profile_update",
        "profile_delete",
        "profile_schema_create",
        "profile_schema_view",
        "profile_schema_update",
        "profile_schema_delete",
        "admin_config_view",
        "admin_config_update",
        "profile_link",
        "unification_rule_create",
        "unification_rule_view",
        "unification_rule_update",
        "unification_rule_delete",
        "consent_category_create",
        "consent_category_view",
        "consent_category_update",
        "consent_category_delete",
        "privacy_export",
        "profile_view_all",
        "profile_merge",
    )
)

MESSAGES = {
    "CDS-10001": "Invalid request.",
    "CDS-10002": "Unauthorized",
    "CDS-10003": "Forbidden",
    "CDS-16001": "Not enabled.",
    "CDS-19001": "Invalid filter format.",
    "CDS-11001": "Profile not found.",
    "CDS-11002": "Profile addition failed.",
    "CDS-11003": "Fetching profile(s) failed.",
    "CDS-11010": "Filtering profiles failed.",
    "CDS-11011": "Profile update failed.",
    "CDS-11012": "Profile deletion failed.",
    "CDS-12001": "No unification rule found.",
    "CDS-12002": "Validation failed for unification rule update.",
    "CDS-12003": "Unification rule with same attribute already exists.",
    "CDS-12004": "Unification rule priority already taken.",
    "CDS-13001": "Invalid request payload.",
    "CDS-13002": "Invalid attribute.",
    "CDS-13003": "Schema attribute already exists.",
    "CDS-13004": "Attribute not found.",
    "CDS-13005": "Invalid application identifier.",
    "CDS-13006": "Attribute add/update not supported.",
    "CDS-14001": "Consent category validation failed",
    "CDS-14002": "Consent category already exist.",
    "CDS-14003": "Consent category not found.",
    "CDS-14005": "Invalid request payload for updating consent category.",
    "CDS-14006": "Consent category is mandatory and cannot be modified or deleted.",
    "CDS-16002": "Invalid request payload for updating admin configuration.",
}

TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")

UNKNOWN_ID = "00000000-0000-4000-8000-00000000dead"

_numbers = itertools.count(1)
_run = uuid.uuid4().hex[:6]


def fresh(word: str = "thing") -> str:
    """A name that is unique in this test run: letters, digits and underscores."""
    return f"{word}_{_run}_{next(_numbers)}"


class Cds:
    """An application that calls one organisation. By default its tokens have all its permissions."""

    def __init__(
        self,
        base_url: str,
        org: str,
        client_id: str,
        client_secret: str,
        permissions: Iterable[str] = PERMISSIONS,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.org = org
        self.client_id = client_id
        self.client_secret = client_secret
        self.permissions = frozenset(permissions)
        self.http = httpx.Client(base_url=self.base_url, timeout=30.0)
        self.http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._tokens: dict[frozenset[str], str] = {}
        self._priorities = itertools.count(1)

    def close(self) -> None:
        self.http.close()

    def token(self, *permissions: str) -> str:
        """An access token with these permissions (the prefix is optional); default: all of the caller."""
        requested = (
            frozenset(p if p.startswith(PREFIX) else PREFIX + p for p in permissions) or self.permissions
        )
        if requested not in self._tokens:
            self._tokens[requested] = self.request_token(" ".join(sorted(requested))).json()["access_token"]
        return self._tokens[requested]

    def request_token(self, scope: str | None = None, **form: str) -> httpx.Response:
        data = {"grant_type": "client_credentials", **({"scope": scope} if scope is not None else {}), **form}
        answer = self.http.post(
            f"/t/{self.org}/oauth2/token", data=data, auth=(self.client_id, self.client_secret)
        )
        assert answer.status_code == 200, f"no token: {answer.status_code} {answer.text}"
        return answer

    def path(self, path: str, face: str = "/cds/api/v1") -> str:
        return f"/t/{self.org}{face}{path}"

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        authorization: str | None = None,
        anonymous: bool = False,
        tracker: str | None = None,
        headers: dict[str, str] | None = None,
        face: str = "/cds/api/v1",
        **kwargs: Any,
    ) -> httpx.Response:
        """One request with the token; `authorization` replaces the header, `anonymous` drops it."""
        all_headers = dict(headers or {})
        if authorization is not None:
            all_headers["Authorization"] = authorization
        elif not anonymous:
            all_headers["Authorization"] = f"Bearer {token or self.token()}"
        if tracker is not None:
            all_headers["Cookie"] = f"cds_profile={tracker}"
        return self.http.request(method, self.path(path, face), headers=all_headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        return self.request("POST", path, **_body(body, kwargs))

    def patch(self, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        return self.request("PATCH", path, **_body(body, kwargs))

    def put(self, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        return self.request("PUT", path, **_body(body, kwargs))

    def delete(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("DELETE", path, **kwargs)

    def raw(self, method: str, path: str, content: bytes | str, **kwargs: Any) -> httpx.Response:
        """Send `content` unchanged; the default content type is JSON."""
        headers = {"Content-Type": "application/json", **kwargs.pop("headers", {})}
        return self.request(method, path, content=content, headers=headers, **kwargs)

    def admin(self, method: str, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        """A request to the admin interface, `/t/{org}/api/v1`."""
        return self.request(method, path, face="/api/v1", **_body(body, kwargs))

    # -- profiles ---------------------------------------------------------------------------------------

    def create(self, body: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
        answer = self.post("/profiles", body or {}, **kwargs)
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return dict(answer.json())

    def read(self, profile_id: str, **params: Any) -> dict[str, Any]:
        """The profile as the caller sees it, application data included."""
        answer = self.get(f"/profiles/{profile_id}", params={"includeApplicationData": "true", **params})
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return dict(answer.json())

    def write(self, profile_id: str, body: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        answer = self.patch(f"/profiles/{profile_id}", body, **kwargs)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return dict(answer.json())

    # -- rules and consent ------------------------------------------------------------------------------

    def rule(self, property_name: str, *, is_active: bool = True, **fields: Any) -> dict[str, Any]:
        """Create a unification rule. Default priority: after all rules that this caller created."""
        body = {"rule_name": fresh("rule"), "priority": next(self._priorities), **fields}
        answer = self.post(
            "/unification-rules", {**body, "property_name": property_name, "is_active": is_active}
        )
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return dict(answer.json())

    def trait_with_rule(self, value_type: str = "string", **fields: Any) -> str:
        """Define a trait with an active unification rule and return its key."""
        key = self.trait(value_type, **fields)
        self.rule(f"traits.{key}")
        return key

    def category(self, *attributes: str, **fields: Any) -> str:
        """Create a consent category with these attributes, `name` or `name@application`; return its id."""
        entries = [
            {"attribute_name": name, **({"application_identifier": app} if app else {})}
            for name, _, app in (attribute.partition("@") for attribute in attributes)
        ]
        body = {"category_name": fresh("category"), "purpose": "personalization", "attributes": entries}
        answer = self.post("/consent-categories", {**body, **fields})
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return str(answer.json()["category_identifier"])

    def consent(self, profile_id: str, **choices: bool) -> list[dict[str, Any]]:
        """Replace the consents of a profile: category id → yes or no."""
        body = [{"category_identifier": i, "is_consented": yes} for i, yes in choices.items()]
        answer = self.put(f"/profiles/{profile_id}/consents", body)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return list(answer.json())

    # -- schema -----------------------------------------------------------------------------------------

    def define(self, scope: str, *attributes: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.post(f"/profile-schema/{scope}", list(attributes))
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return list(answer.json())

    def trait(self, value_type: str = "string", *, key: str | None = None, **fields: Any) -> str:
        """Define a trait and return its key (without `traits.`)."""
        key = key or fresh(value_type)
        self.define("traits", draft(f"traits.{key}", value_type, **fields))
        return key

    def application_attribute(
        self, value_type: str = "string", *, application: str | None = None, **fields: Any
    ) -> str:
        key = fresh(value_type)
        application = application or self.client_id
        self.define(
            "application_data",
            draft(f"application_data.{key}", value_type, application_identifier=application, **fields),
        )
        return key

    def address(self, **children: str) -> str:
        """Define a complex trait with scalar children (`city="string"`) and return its key."""
        key = fresh("address")
        defined = self.define(
            "traits", *(draft(f"traits.{key}.{name}", kind) for name, kind in children.items())
        )
        entries = [
            {"attribute_id": a["attribute_id"], "attribute_name": a["attribute_name"]} for a in defined
        ]
        self.define("traits", draft(f"traits.{key}", "complex", sub_attributes=entries))
        return key


def draft(name: str, value_type: str = "string", **fields: Any) -> dict[str, Any]:
    """An attribute definition with the required fields and `fields`."""
    return {"attribute_name": name, "value_type": value_type, "merge_strategy": "overwrite", **fields}


def _body(body: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    if body is not None and "content" not in kwargs:
        kwargs["content"] = json.dumps(body)
        kwargs["headers"] = {"Content-Type": "application/json", **(kwargs.get("headers") or {})}
    return kwargs


# -- assertions on answers --------------------------------------------------------------------------


def assert_error(answer: httpx.Response, status: int, code: str, description: str | None = None) -> str:
    """Assert an error of shape A and return its description. If given, `description` must match exactly."""
    fields = _error(answer, status, ("code", "message", "description"))
    return _check_error(fields, code, description)


def assert_error_b(answer: httpx.Response, status: int, code: str, description: str | None = None) -> str:
    """Assert an error of shape B and return its description."""
    fields = _error(answer, status, ("error_code", "error_message", "error_description"))
    return _check_error(fields, code, description)


def assert_error_text(answer: httpx.Response, status: int, line: str) -> None:
    """Assert an error whose body is one line of text."""
    assert (answer.status_code, answer.text.rstrip("\n")) == (status, line)
    assert answer.headers["content-type"].startswith("text/plain")


def _error(answer: httpx.Response, status: int, keys: tuple[str, str, str]) -> tuple[str, str, str]:
    assert answer.status_code == status, f"expected {status}, got {answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == set(keys), body
    return body[keys[0]], body[keys[1]], body[keys[2]]


def _check_error(fields: tuple[str, str, str], code: str, description: str | None) -> str:
    assert fields[0] == code, fields
    if code in MESSAGES:
        assert fields[1] == MESSAGES[code], fields
    if description is not None:
        assert fields[2] == description, fields
    return fields[2]


def assert_client_error(answer: httpx.Response) -> None:
    """Assert a 4xx answer with a description and without a traceback."""
    assert 400 <= answer.status_code < 500, f"{answer.status_code} {answer.text[:300]}"
    assert answer.text.strip()
    assert "Traceback" not in answer.text
    if answer.headers["content-type"].startswith("application/json"):
        body = answer.json()
        assert body.get("description") or body.get("error_description") or body.get("detail"), body


def tracker_of(answer: httpx.Response) -> str:
    return str(answer.json()["anonymous_profile_tracker"])


def set_cookie(answer: httpx.Response, name: str = "cds_profile") -> dict[str, str]:
    """The attributes of the one `Set-Cookie` of this name, keys in lower case, the value under `""`."""
    lines = [line for line in answer.headers.get_list("set-cookie") if line.startswith(name + "=")]
    assert len(lines) == 1, answer.headers.get_list("set-cookie")
    first, *rest = [part.strip() for part in lines[0].split(";")]
    attributes = {"": first.split("=", 1)[1].strip('"')}
    for part in rest:
        key, _, value = part.partition("=")
        attributes[key.lower()] = value
    return attributes
