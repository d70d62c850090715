"""Attributes made from claims, and their reconciliation with a changed set (docs/wire/cds.md §13)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.identity_server.stand_in import local_claim
from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.core.config.mirrored_attributes import (
    MirroredAttributes,
    RequiredAttribute,
    is_scim,
    reconcile,
    required_attributes,
    with_parents,
)
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.values.attribute import Attribute, CanonicalValue
from oneself.core.values.schema import Schema

LOCAL = "http://wso2.org/claims"


def ids() -> Callable[[str], str]:
    numbers = itertools.count(1)
    return lambda name: f"id-{next(numbers)}"


def wanted(*local: dict[str, Any], mapped: list[str] | None = None) -> dict[str, RequiredAttribute]:
    """The attributes that local claims require. `mapped`: URIs that have a SCIM claim; default all."""
    uris = [claim["claimURI"] for claim in local] if mapped is None else mapped
    dialect = [{"claimURI": f"urn:x:{n}", "mappedLocalClaimURI": uri} for n, uri in enumerate(uris)]
    return {attribute.name: attribute for attribute in required_attributes(local, [dialect])}


def synced(
    schema: Schema, names: list[str], new_id: Callable[[str], str]
) -> tuple[Schema, MirroredAttributes]:
    claims = with_parents(RequiredAttribute(f"identity_attributes.{name}") for name in dict.fromkeys(names))
    change, mirrored = reconcile(schema, claims, new_id)
    return (configure(Config(schema=schema), change, 1).schema if change else schema), mirrored


def by_name(schema: Schema) -> dict[str, Attribute]:
    return {attribute.attribute_name.partition(".")[2]: attribute for attribute in schema.attributes}


class TestClaimToAttribute:
    def test_the_name_is_the_last_part_of_the_local_uri(self) -> None:
        assert list(wanted(local_claim("emailaddress"))) == ["identity_attributes.emailaddress"]
        assert list(wanted(local_claim("identity/locked"))) == ["identity_attributes.locked"]

    def test_only_claims_mapped_from_scim_become_attributes(self) -> None:
        claims = local_claim("givenname"), local_claim("secret")
        assert list(wanted(*claims, mapped=[f"{LOCAL}/givenname"])) == ["identity_attributes.givenname"]
        assert wanted(*claims, mapped=[f"{LOCAL}/unknown"]) == {}

    def test_two_scim_claims_of_one_local_claim_are_one_attribute(self) -> None:
        uri = f"{LOCAL}/givenname"
        assert len(wanted(local_claim("givenname"), mapped=[uri, uri])) == 1

    @pytest.mark.parametrize(
        ("declared", "value_type"),
        [
            ("string", "string"), ("integer", "integer"), ("DECIMAL", "decimal"), ("boolean", "boolean"),
            ("date", "date"), ("date_time", "date_time"), ("dateTime", "date_time"), ("epoch", "epoch"),
            ("complex", "complex"), ("options", "string"), (None, "string"), (5, "string"),
        ],
    )  # fmt: skip
    def test_the_data_type_becomes_the_value_type(self, declared: Any, value_type: str) -> None:
        assert wanted(local_claim("x", dataType=declared))["identity_attributes.x"].value_type == value_type

    def test_other_properties_are_copied(self) -> None:
        claim = local_claim(
            "country",
            readOnly=True,
            displayName="Land",
            properties=[{"key": "multiValued", "value": "true"}, {"key": "x"}, "y"],
            canonicalValues=[{"label": "Schweiz", "value": "CH"}, {"value": "LI"}, {"label": "none"}, 7],
        )
        assert wanted(claim)["identity_attributes.country"] == RequiredAttribute(
            name="identity_attributes.country",
            multi_valued=True,
            read_only=True,
            display_name="Land",
            canonical_values=(CanonicalValue("CH", "Schweiz"), CanonicalValue("LI")),
        )

    @pytest.mark.parametrize("name", ["", "a.b.c.d.e", "a..b", " ", "x" * 300, "a\nb"])
    def test_a_claim_with_an_invalid_name_is_skipped(self, name: str) -> None:
        assert wanted(local_claim(name)) == {}

    def test_invalid_claim_documents_are_skipped(self) -> None:
        assert required_attributes([{}, {"claimURI": 5}], [[{}, {"mappedLocalClaimURI": []}]]) == ()

    @pytest.mark.parametrize(
        ("uri", "scim"),
        [
            ("urn:ietf:params:scim:schemas:core:2.0:User", True),
            ("urn:scim:wso2:schema", True),
            ("urn:scim:schemas:core:1.0", False),
            ("http://wso2.org/oidc/claim", False),
            ("http://wso2.org/claims", False),
        ],
    )
    def test_which_dialects_are_scim(self, uri: str, scim: bool) -> None:
        assert is_scim(uri) is scim


class TestDottedClaims:
    def test_missing_parents_are_created_as_complex(self) -> None:
        schema, _ = synced(Schema(), ["address.home.city"], ids())
        found = by_name(schema)
        assert [found[name].value_type for name in ("address", "address.home", "address.home.city")] == [
            "complex",
            "complex",
            "string",
        ]
        assert found["address"].sub_attributes == (found["address.home"].attribute_id,)
        assert found["address.home"].sub_attributes == (found["address.home.city"].attribute_id,)

    def test_a_claim_with_members_is_complex(self) -> None:
        claims = wanted(
            local_claim("phones", properties=[{"key": "multiValued", "value": "true"}]),
            local_claim("phones.home"),
        )
        parent = claims["identity_attributes.phones"]
        assert (parent.value_type, parent.multi_valued) == ("complex", False)

    def test_emailaddress_keeps_its_own_value(self) -> None:
        schema, _ = synced(Schema(), ["emailaddress", "emailaddress.work"], ids())
        found = by_name(schema)
        assert found["emailaddress"].value_type == "string"
        assert set(schema.fields("identity_attributes")) == {"emailaddress", "emailaddress.work"}
        alone, _ = synced(Schema(), ["emailaddress.work"], ids())
        assert set(by_name(alone)) == {"emailaddress.work"}

    def test_the_created_parent_is_removed_with_its_last_member(self) -> None:
        new_id = ids()
        schema, _ = synced(Schema(), ["address.city", "givenname"], new_id)
        schema, mirrored = synced(schema, ["givenname"], new_id)
        assert set(by_name(schema)) == {"givenname"}
        assert mirrored.removed == ("identity_attributes.address.city", "identity_attributes.address")


class TestReconciling:
    def test_the_same_claims_are_not_a_change(self) -> None:
        new_id = ids()
        schema, mirrored = synced(Schema(), ["a", "b.c"], new_id)
        assert set(mirrored.added) == {f"identity_attributes.{name}" for name in ("a", "b.c", "b")}
        claims = with_parents(
            [RequiredAttribute("identity_attributes.a"), RequiredAttribute("identity_attributes.b.c")]
        )
        assert reconcile(schema, claims, new_id) == (None, MirroredAttributes())

    def test_a_changed_claim_keeps_its_id(self) -> None:
        schema, _ = synced(Schema(), ["age"], ids())
        changed = RequiredAttribute(
            "identity_attributes.age", value_type="integer", read_only=True, display_name="Age"
        )
        change, mirrored = reconcile(schema, [changed], ids())
        assert change is not None
        after = configure(Config(schema=schema), change, 1).schema
        assert by_name(after)["age"] == Attribute(
            attribute_id=by_name(schema)["age"].attribute_id,
            attribute_name="identity_attributes.age",
            value_type="integer",
            merge_strategy="overwrite",
            mutability="readOnly",
            display_name="Age",
        )
        assert mirrored == MirroredAttributes(changed=("identity_attributes.age",))

    def test_a_new_claim_that_differs_only_in_case_is_skipped_with_its_members(self) -> None:
        new_id = ids()
        schema, _ = synced(Schema(), ["mail", "address.city"], new_id)
        names = ["Mail", "mail", "address.city", "Address.zip", "x", "X"]
        after, mirrored = synced(schema, names, new_id)
        assert set(by_name(after)) == {"mail", "address", "address.city", "x"}
        skipped = {name.partition(".")[2] for name in mirrored.skipped}
        assert skipped == {"Mail", "Address", "Address.zip", "X"}

    def test_a_claim_that_changes_its_case_replaces_the_old_one(self) -> None:
        new_id = ids()
        schema, _ = synced(Schema(), ["mail"], new_id)
        after, mirrored = synced(schema, ["Mail"], new_id)
        assert (set(by_name(after)), mirrored.skipped) == ({"Mail"}, ())

    def test_stored_claims_that_differ_only_in_case_stay(self) -> None:
        schema, _ = synced(Schema(), ["mail"], ids())
        (mail,) = schema.attributes
        other = msgspec.structs.replace(mail, attribute_id="x", attribute_name="identity_attributes.MAIL")
        after, mirrored = synced(schema.with_([other]), ["mail", "MAIL"], ids())
        assert (set(by_name(after)), mirrored.skipped) == ({"mail", "MAIL"}, ())

    def test_rules_are_removed_with_their_attribute_only(self) -> None:
        schema, _ = synced(Schema(), ["mail", "phone"], ids())
        rules = {
            n: UnificationRule(n, n, f"identity_attributes.{n}", i, True)
            for i, n in enumerate(("mail", "phone"))
        }
        wanted = [
            RequiredAttribute("identity_attributes.mail", display_name="Mail"),
            RequiredAttribute("identity_attributes.new"),
        ]
        change, _ = reconcile(schema, wanted, ids())
        assert change is not None
        assert set(configure(Config(schema=schema, rules=rules), change, 1).rules) == {"mail"}

    def test_other_scopes_are_not_changed(self) -> None:
        trait = Attribute("t", "traits.plan", "string", "overwrite")
        change, _ = reconcile(Schema((trait,)), [RequiredAttribute("identity_attributes.a")], ids())
        assert change is not None
        assert configure(Config(schema=Schema((trait,))), change, 1).schema.get("t") == trait
        assert reconcile(Schema((trait,)), [], ids()) == (None, MirroredAttributes())


NAMES = st.lists(
    st.sampled_from("a b c a.x a.y a.x.z b.x emailaddress emailaddress.work".split()), unique=True, max_size=9
)


@given(st.lists(NAMES, min_size=1, max_size=8))
def test_ids_are_stable_under_any_sequence_of_syncs(history: list[list[str]]) -> None:
    """An attribute that remains keeps its id, and one that returns gets its id back."""
    schema, numbers = Schema(), itertools.count()
    ids_by_name: dict[str, str] = {}

    def new_id(name: str) -> str:
        return ids_by_name.setdefault(name, f"id-{next(numbers)}")

    for names in history:
        before = {name: attribute.attribute_id for name, attribute in by_name(schema).items()}
        schema, _ = synced(schema, names, new_id)
        after = {name: attribute.attribute_id for name, attribute in by_name(schema).items()}
        assert set(names) <= set(after)
        assert {name: before[name] for name in before.keys() & after.keys()} == {
            name: after[name] for name in before.keys() & after.keys()
        }
        assert all(
            ids_by_name[f"identity_attributes.{name}"] == attribute_id for name, attribute_id in after.items()
        )
        assert synced(schema, names, new_id)[1] == MirroredAttributes()
        for attribute in schema.attributes:
            assert bool(attribute.sub_attributes) == (attribute.value_type == "complex")
            assert all(schema.get(child) is not None for child in attribute.sub_attributes)
