"""Datasets, identity types, bindings and channels: rejected, previewed and applied changes."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
from msgspec import structs

from oneself.core.identity.dataset_settings import NEW_DATASET
from oneself.core.identity.identity_type import BUILT_IN_TYPES, IdentityType
from oneself.core.values.definition import AttributeChange
from oneself.core.values.definition_rules import AttributeRejected
from oneself.errors import Conflict, InvalidInput, NotFound, RequestError
from oneself.service.context import DatasetRef
from oneself.service.identity.attributes import ConfirmationRequired
from oneself.service.identity.manifest.document import read_document
from oneself.service.identity_provider.directory_claims import DirectoryClaim
from oneself.service.rules.preview import Preview
from oneself.service.schema.dataset_settings import DAY_MILLIS, is_origin
from oneself.service.schema.datasets import Datasets
from oneself.service.schema.identity_bindings import Binding
from oneself.service.schema.identity_types import IdentityTypes
from oneself.service.schema.user_attributes import read_changes
from oneself.services import Services
from oneself.store.directory import Directory
from support.profiles_harness import ProfilesHarness
from support.tunables import tuned

pytestmark = pytest.mark.postgres

_numbers = itertools.count(1)
LOYALTY = IdentityType("loyaltyId", "Loyalty number")
BY_MAIL = Binding("emailAddress", "emailAddress", "traits.mail")
BY_CARD = Binding("loyaltyId", "loyaltyId", "traits.card")


class Organisation(ProfilesHarness):
    """Profiles in the dataset `default` of a stored organisation."""

    def __init__(self, services: Services, dataset_ref: DatasetRef) -> None:
        super().__init__(services)
        self.dataset_ref = dataset_ref
        self.datasets = services.schema.datasets
        self.types = services.schema.identity_types
        self.attributes = services.identity.attributes
        self.documents = services.identity.documents

    async def dataset(self, name: str) -> DatasetRef:
        return await self.datasets.get(self.dataset_ref, name)

    async def types_of(self, name: str) -> set[str]:
        config = await self.services.configurations.current((await self.dataset(name)).dataset_id)
        return set(config.identity_types)

    async def version(self, name: str) -> int:
        return (await self.services.configurations.current((await self.dataset(name)).dataset_id)).version

    async def bind(self, *bindings: Binding) -> Preview | None:
        """Replace all bindings and confirm if required. Returns the preview, if there was one."""
        try:
            await self.attributes.put(self.dataset_ref, bindings)
        except ConfirmationRequired as required:
            await self.attributes.put(self.dataset_ref, bindings, required.confirmation)
            return required.preview
        return None

    async def refused_binding(self, *bindings: Binding) -> ConfirmationRequired:
        """Try to replace all bindings. Returns the required confirmation."""
        with pytest.raises(ConfirmationRequired) as raised:
            await self.attributes.put(self.dataset_ref, bindings)
        return raised.value


@pytest.fixture
async def org(services: Services) -> Organisation:
    handle = f"identity-{next(_numbers)}"
    await services.directory.organisations.put(handle, handle)
    organisation = Organisation(services, await services.directory.organisations.get(handle))
    await organisation.begin()
    await organisation.types.create(organisation.dataset_ref, LOYALTY)
    return organisation


# -- identity types -----------------------------------------------------------------------------------------


async def test_a_type_is_the_same_in_every_dataset(org: Organisation) -> None:
    await org.datasets.create(org.dataset_ref, "web", {})
    await org.types.create(org.dataset_ref, IdentityType("cardNumber", "Card"))
    await org.datasets.create(org.dataset_ref, "app", {})
    for name in ("default", "web", "app"):
        assert await org.types_of(name) == {"loyaltyId", "cardNumber"}
    await org.types.change(org.dataset_ref, "loyaltyId", {"trusted_only": True})
    await org.types.delete(org.dataset_ref, "cardNumber")
    for name in ("default", "web", "app"):
        config = await org.services.configurations.current((await org.dataset(name)).dataset_id)
        assert config.identity_types == {"loyaltyId": structs.replace(LOYALTY, trusted_only=True)}


async def test_concurrent_new_datasets_and_types_are_complete(org: Organisation) -> None:
    await asyncio.gather(
        *(org.datasets.create(org.dataset_ref, f"d{n}", {}) for n in range(6)),
        *(org.types.create(org.dataset_ref, IdentityType(f"type{n}", "T")) for n in range(6)),
    )
    expected = {"loyaltyId", *(f"type{n}" for n in range(6))}
    assert [await org.types_of(f"d{n}") for n in range(6)] == [expected] * 6


@pytest.mark.parametrize(
    "draft",
    [
        IdentityType("", "x"),
        IdentityType("loyalty id", "x"),
        IdentityType("loyalty_id", "x"),
        IdentityType("a" * 65, "x"),
        IdentityType("tracker", "x"),
        IdentityType("x", ""),
        IdentityType("x", "l" * 101),
        IdentityType("x", "two\nlines"),
        IdentityType("x", "x", blocked_values=("",)),
        IdentityType("x", "x", blocked_values=("v" * 257,)),
        IdentityType("x", "x", blocked_values=tuple(map(str, range(10_001)))),
    ],
    ids=lambda draft: f"{draft.type_id[:12]}-{draft.label[:12]}",
)
async def test_an_invalid_type_is_rejected(org: Organisation, draft: IdentityType) -> None:
    with pytest.raises(InvalidInput):
        await org.types.create(org.dataset_ref, draft)
    assert await org.types_of("default") == {"loyaltyId"}


@pytest.mark.parametrize("type_id", ["loyaltyId", "LOYALTYID", "emailAddress", "emailaddress"])
async def test_the_id_of_a_type_is_unique_ignoring_case(org: Organisation, type_id: str) -> None:
    with pytest.raises(Conflict):
        await org.types.create(org.dataset_ref, IdentityType(type_id, "x"))


async def test_the_number_of_custom_types_is_limited(org: Organisation) -> None:
    types = IdentityTypes(org.database, org.services.configurations, custom_types_max=2)
    await types.change(org.dataset_ref, "emailAddress", {"trusted_only": True})
    await types.create(org.dataset_ref, IdentityType("second", "x"))
    with pytest.raises(Conflict, match="at most 2"):
        await types.create(org.dataset_ref, IdentityType("third", "x"))


async def test_matching_options_of_a_type_never_change(org: Organisation) -> None:
    for changes in ({"is_unique": False}, {"case_sensitive": True}):
        with pytest.raises(InvalidInput):
            await org.types.change(org.dataset_ref, "loyaltyId", changes)
    with pytest.raises(Conflict):
        await org.types.change(org.dataset_ref, "profileId", {"label": "Mine"})
    with pytest.raises(Conflict):
        await org.types.delete(org.dataset_ref, "emailAddress")
    with pytest.raises(NotFound):
        await org.types.delete(org.dataset_ref, "nothing")
    with pytest.raises(NotFound):
        await org.types.change(org.dataset_ref, "nothing", {})


async def test_a_built_in_type_with_its_defaults_again_is_not_a_change(
    org: Organisation,
) -> None:
    await org.types.change(org.dataset_ref, "emailAddress", {"blocked_values": ("desk@acme.example",)})
    assert "emailAddress" in await org.types_of("default")
    await org.types.change(org.dataset_ref, "emailAddress", {"blocked_values": ()})
    assert await org.types_of("default") == {"loyaltyId"}
    assert await org.types.find(org.dataset_ref, "emailAddress") == BUILT_IN_TYPES["emailAddress"]


async def test_a_type_in_use_cannot_be_deleted(org: Organisation) -> None:
    await org.person(card="c1")
    await org.bind(BY_CARD)
    await org.index()
    with pytest.raises(Conflict, match="bound"):
        await org.types.delete(org.dataset_ref, "loyaltyId")
    await org.bind()
    with pytest.raises(Conflict, match="values"):
        await org.types.delete(org.dataset_ref, "loyaltyId")


async def test_blocked_values_never_identify_in_any_spelling(org: Organisation) -> None:
    await org.types.change(org.dataset_ref, "emailAddress", {"blocked_values": ("Desk@ACME.example",)})
    await org.bind(BY_MAIL)
    people = [await org.person(mail="desk@acme.example") for _ in range(2)]
    assert len(set(await org.survivors(*people))) == 2
    await org.types.change(org.dataset_ref, "emailAddress", {"blocked_values": ()})
    await org.index()
    assert len(set(await org.survivors(*people))) == 1


# -- datasets -----------------------------------------------------------------------------------------------


async def test_a_dataset_is_created_changed_and_deleted(org: Organisation) -> None:
    attributes = read_changes({"colour": {"label": "Colour"}, "visits": {"type": "Number"}})
    created = await org.datasets.create(org.dataset_ref, "web", {"label": "Shop"}, attributes)
    assert (created.settings.label, set(created.user_attributes)) == ("Shop", {"colour", "visits"})
    changed = await org.datasets.change(
        org.dataset_ref,
        "web",
        {"merged_anonymous": "fresh", "allowed_origins": ("https://shop.acme.example",)},
        read_changes({"visits": None, "colour": {"classification_override": "Sensitive"}}),
    )
    assert changed.settings.merged_anonymous == "fresh"
    assert changed.user_attributes["colour"].classification_override == "Sensitive"
    assert set(changed.user_attributes) == {"colour"}
    assert await org.datasets.show(org.dataset_ref, "web") == changed
    assert [dataset.name for dataset in await org.datasets.list(org.dataset_ref)] == ["default", "web"]
    await org.datasets.delete(org.dataset_ref, "web")
    assert await org.datasets.find(org.dataset_ref, "web") is None
    recreated = await org.datasets.create(org.dataset_ref, "web", {})
    assert (recreated.settings, recreated.user_attributes) == (NEW_DATASET, {})


async def test_a_setting_equal_to_its_default_folds(org: Organisation) -> None:
    # JSON creates strings that are equal to the default but not the same object, as a request does.
    settings = json.loads('{"identity_trust": "tiered", "merged_anonymous": "follow", "label": ""}')
    await org.datasets.create(org.dataset_ref, "web", {"identity_trust": settings["identity_trust"]})
    await org.datasets.change(org.dataset_ref, "web", {"merged_anonymous": "fresh"})
    await org.datasets.change(org.dataset_ref, "web", {"merged_anonymous": settings["merged_anonymous"]})
    await org.datasets.change(org.dataset_ref, "default", settings)
    assert (await org.datasets.show(org.dataset_ref, "web")).settings == NEW_DATASET
    await org.verified()


async def test_an_empty_change_creates_no_version(org: Organisation) -> None:
    version = await org.version("default")
    await org.datasets.change(
        org.dataset_ref, "default", {"label": ""}, read_changes({"plan": {"type": "String"}})
    )
    await org.types.change(org.dataset_ref, "loyaltyId", {"label": LOYALTY.label})
    await org.attributes.put(org.dataset_ref, [])
    await org.attributes.put_channels(org.dataset_ref, {"Web": None})
    assert await org.version("default") == version


@pytest.mark.parametrize(
    "settings",
    [
        {"label": "l" * 101},
        {"identity_trust": "none"},
        {"merged_anonymous": "never"},
        {"visit_timeout_millis": 59_999},
        {"visit_timeout_millis": DAY_MILLIS + 1},
        {"remember_me_user_ids_millis": DAY_MILLIS - 1},
        {"remember_me_user_ids_millis": 3651 * DAY_MILLIS},
        {"allowed_origins": ("shop.acme.example",)},
        {"allowed_origins": ("*",)},
        {"allowed_origins": tuple(f"https://h{n}.example" for n in range(101))},
    ],
    ids=lambda settings: str(settings)[:40],
)
async def test_invalid_dataset_settings_are_rejected(org: Organisation, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await org.datasets.create(org.dataset_ref, "web", settings)
    with pytest.raises(InvalidInput):
        await org.datasets.change(org.dataset_ref, "default", settings)
    assert await org.datasets.find(org.dataset_ref, "web") is None


def test_an_origin_has_the_form_that_browsers_send() -> None:
    valid = ["https://a.example", "http://localhost:3000", "https://[::1]:8443", "http://127.0.0.1"]
    invalid = [
        "", "null", "*", "a.example", "https://", "https://A.example", "https://a.example/", "ftp://a.example",
        "https://a.example:443", "http://a.example:80", "https://a.example:0", "https://a.example:70000",
        "https://a.example?x", "https://u@a.example", "https://a example", "https://*.a.example",
    ]  # fmt: skip
    assert [origin for origin in valid if not is_origin(origin)] == []
    assert [origin for origin in invalid if is_origin(origin)] == []


@pytest.mark.parametrize("name", ["", ".web", "w b", "w/b", "a" * 64, "ü"])
async def test_invalid_dataset_names_are_rejected(org: Organisation, name: str) -> None:
    with pytest.raises(InvalidInput):
        await org.datasets.create(org.dataset_ref, name, {})


async def test_datasets_are_limited_and_used_ones_cannot_be_deleted(org: Organisation) -> None:
    org.datasets = Datasets(Directory(org.database), org.services.configurations, datasets_max=2)
    await org.datasets.create(org.dataset_ref, "web", {})
    for name in ("web", "default", "third"):
        with pytest.raises(Conflict):
            await org.datasets.create(org.dataset_ref, name, {})
    with pytest.raises(Conflict):
        await org.datasets.delete(org.dataset_ref, "default")
    with pytest.raises(NotFound):
        await org.datasets.delete(org.dataset_ref, "third")
    web = ProfilesHarness(org.services)
    web.dataset_ref = await org.dataset("web")
    await web.person()
    with pytest.raises(Conflict, match="holds"):
        await org.datasets.delete(org.dataset_ref, "web")


async def test_a_setting_cannot_turn_resolution_on_or_off(org: Organisation) -> None:
    await org.datasets.create(org.dataset_ref, "old", {"pipeline_identity_resolution": False})
    with pytest.raises(Conflict, match="rewrites every profile"):
        await org.datasets.change(org.dataset_ref, "old", {"pipeline_identity_resolution": True})
    with pytest.raises(Conflict, match="turned off"):
        await org.datasets.change(org.dataset_ref, "default", {"pipeline_identity_resolution": False})


async def test_the_default_dataset_shows_the_traits_that_events_may_write(org: Organisation) -> None:
    shown = (await org.datasets.show(org.dataset_ref, "default")).user_attributes
    assert set(shown) == {"mail", "card", "plan"}, "a multi-valued trait is not a user attribute"
    changed = await org.datasets.change(
        org.dataset_ref, "default", {}, read_changes({"plan": {"label": "Plan"}, "card": None})
    )
    assert {name: attribute.label for name, attribute in changed.user_attributes.items()} == {
        "mail": "mail",
        "plan": "Plan",
    }
    assert len(await org.groups()) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"a.b": {}},
        {"": {}},
        {"a": {"type": "Text"}},
        {"a": {"colour": 1}},
        {"a": {"label": "l" * 51}},
        {"a": []},
        {"a": {"classification_override": "Secret"}},
        {"plan": {"type": "Number"}},
    ],
    ids=str,
)
async def test_an_invalid_user_attribute_is_rejected(org: Organisation, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await org.datasets.change(org.dataset_ref, "default", {}, read_changes(change))


async def test_defined_and_bound_user_attributes_cannot_change(org: Organisation) -> None:
    with pytest.raises(Conflict, match="profile schema"):
        await org.datasets.change(org.dataset_ref, "default", {}, read_changes({"tags": {}}))
    await org.bind(BY_CARD)
    with pytest.raises(Conflict, match="bound"):
        await org.datasets.change(org.dataset_ref, "default", {}, read_changes({"card": None}))


@pytest.mark.parametrize("tunables", [tuned(user_attributes_max=3)])
async def test_a_dataset_has_a_limited_number_of_user_attributes(org: Organisation) -> None:
    with pytest.raises(InvalidInput, match="at most 3"):
        await org.datasets.change(org.dataset_ref, "default", {}, read_changes({"more": {}}))
    await org.datasets.change(org.dataset_ref, "default", {}, read_changes({"more": {}, "plan": None}))


# -- bindings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bindings",
    [
        [Binding("", "loyaltyId")],
        [Binding("two words", "loyaltyId")],
        [Binding("a" * 65, "loyaltyId")],
        [Binding("profileId", "loyaltyId")],
        [Binding("x", "profileId")],
        [Binding("x", "nothing")],
        [Binding("x", "loyaltyId"), Binding("x", "emailAddress")],
        [Binding("x", "emailAddress"), Binding("X", "loyaltyId")],
        [Binding("x", "loyaltyId"), Binding("y", "loyaltyId")],
        [Binding("x", "loyaltyId", "traits.mail"), Binding("y", "emailAddress", "traits.mail")],
        [Binding("x", "loyaltyId", "traits.tags")],
        [Binding("x", "loyaltyId", "application_data.x")],
        [Binding("x", "loyaltyId", "nowhere.x")],
        [Binding("x", "loyaltyId", "user_id")],
        [Binding("x", "loyaltyId", "traits.a.b.c.d.e.f")],
        [Binding("x", "loyaltyId", "traits.")],
    ],
    ids=str,
)
async def test_invalid_bindings_are_rejected(org: Organisation, bindings: list[Binding]) -> None:
    with pytest.raises(InvalidInput):
        await org.attributes.put(org.dataset_ref, bindings)
    assert await org.attributes.list(org.dataset_ref) == []


async def test_binding_creates_a_missing_attribute(org: Organisation) -> None:
    await org.bind(Binding("loyaltyId", "loyaltyId"), Binding("card2", "customerId", "traits.card2"))
    config = await org.services.configurations.current(org.dataset_ref.dataset_id)
    attribute = config.schema.find("identity_attributes.loyaltyId")
    assert attribute is not None
    assert (attribute.value_type, attribute.merge_strategy, attribute.display_name) == (
        "string",
        "latest",
        "Loyalty number",
    )
    assert config.schema.find("traits.card2") is not None
    assert set(config.bindings) == {"loyaltyId", "customerId"}


async def test_a_type_that_is_not_unique_is_bound_and_never_matches(org: Organisation) -> None:
    await org.types.create(org.dataset_ref, IdentityType("household", "Household", is_unique=False))
    people = [await org.person(card="c1") for _ in range(2)]
    assert await org.bind(Binding("household", "household", "traits.card")) is None
    people += [await org.person(card="c1")]
    assert len(set(await org.survivors(*people))) == 3


async def test_binding_an_attribute_without_values_needs_no_confirmation(org: Organisation) -> None:
    await org.person(plan="gold")
    assert await org.bind(BY_MAIL) is None
    pair = [await org.person(mail=word) for word in ("a1", "A1")]
    assert len(set(await org.survivors(*pair))) == 1


async def test_the_preview_equals_the_outcome(org: Organisation) -> None:
    ann = [
        await org.person(mail="ann", card="c1"),
        await org.person(card="C1"),
        await org.person(mail="ANN "),
    ]
    bob = [await org.person("bob", mail="shared"), await org.person("eve", mail="shared")]
    other = await org.person(mail="other")
    required = await org.refused_binding(BY_MAIL, BY_CARD)
    assert len(set(await org.survivors(*ann, *bob, other))) == 6, "the preview merged profiles"
    assert await org.attributes.list(org.dataset_ref) == []
    preview = required.preview
    assert (preview.profiles_absorbed, preview.groups, preview.largest_group) == (2, 1, 3)
    assert [code for code, *_ in preview.refusals] == ["different_user"]
    await org.attributes.put(org.dataset_ref, [BY_MAIL, BY_CARD], required.confirmation)
    await org.index()
    (merge,) = preview.merges
    assert {merge.survivor, *merge.absorbed} == set(ann)
    assert await org.groups() == {merge.survivor: frozenset(merge.absorbed)}
    assert {code for code, *_ in await org.refusals()} == {"different_user"}
    await org.verified()


async def test_a_confirmation_is_valid_only_for_its_change(org: Organisation) -> None:
    for word in ("a1", "a1", "b1", "b1"):
        await org.person(mail=word, card=word)
    mail, card = await org.refused_binding(BY_MAIL), await org.refused_binding(BY_CARD)
    for wrong in (card.confirmation, "", "2", "2-0", "-", "9" * 30, f"0{mail.confirmation}", "²-x"):
        with pytest.raises(ConfirmationRequired):
            await org.attributes.put(org.dataset_ref, [BY_MAIL], wrong)
    await org.person(mail="a1")
    with pytest.raises(ConfirmationRequired) as raised:
        await org.attributes.put(org.dataset_ref, [BY_MAIL], mail.confirmation)
    await org.types.create(org.dataset_ref, IdentityType("more", "More"))
    with pytest.raises(ConfirmationRequired):
        await org.attributes.put(org.dataset_ref, [BY_MAIL], raised.value.confirmation)
    assert await org.attributes.list(org.dataset_ref) == []


async def test_moving_a_binding_needs_confirmation(org: Organisation) -> None:
    await org.bind(Binding("loyaltyId", "loyaltyId", "traits.card"))
    people = [await org.person(card="c1"), await org.person(plan="p1"), await org.person(plan="P1")]
    moved = Binding("loyaltyId", "loyaltyId", "traits.plan")
    assert (await org.refused_binding(moved)).preview.profiles_absorbed == 1
    assert await org.bind(moved) is not None
    await org.index()
    late = await org.person(card="c1")
    survivors = await org.survivors(*people, late)
    assert survivors[1] == survivors[2]
    assert len(set(survivors)) == 3, "the previous attribute still matches"
    await org.verified()


async def test_moving_away_from_values_needs_confirmation(org: Organisation) -> None:
    await org.bind(Binding("loyaltyId", "loyaltyId", "traits.card"))
    await org.person(card="c1")
    required = await org.refused_binding(Binding("loyaltyId", "loyaltyId", "traits.fresh"))
    assert required.preview.profiles_absorbed == 0


async def test_unbinding_and_renaming_need_no_confirmation(org: Organisation) -> None:
    for _ in range(2):
        await org.person(mail="a1")
    await org.bind(BY_MAIL)
    assert await org.bind(structs.replace(BY_MAIL, name="mail")) is None
    await org.index()
    assert len(await org.groups()) == 1, "the reindex job stopped after the rename"
    assert await org.bind() is None
    pair = [await org.person(mail="z1") for _ in range(2)]
    assert len(set(await org.survivors(*pair))) == 2


# -- channels -----------------------------------------------------------------------------------------------


async def test_a_channel_identity_must_be_bound(org: Organisation) -> None:
    assert await org.attributes.channels(org.dataset_ref) == {}
    await org.bind(Binding("customerId", "customerId"), Binding("loyaltyId", "loyaltyId"))
    assert await org.attributes.channels(org.dataset_ref) == dict.fromkeys(
        ("Web", "Server", "Mobile"), "customerId"
    )
    found = await org.attributes.put_channels(org.dataset_ref, {"Web": "loyaltyId", "Server": "customerId"})
    assert found == {"Web": "loyaltyId", "Server": "customerId", "Mobile": "customerId"}
    with pytest.raises(Conflict, match="Web"):
        await org.bind(Binding("customerId", "customerId"))
    assert (await org.attributes.put_channels(org.dataset_ref, {"Web": None}))["Web"] == "customerId"
    await org.bind(Binding("customerId", "customerId"))


@pytest.mark.parametrize(
    "channels",
    [{"Fax": "loyaltyId"}, {"Web": "nothing"}, {"Web": "household"}, {"Web": "customerId"}],
    ids=str,
)
async def test_invalid_channel_identities_are_rejected(org: Organisation, channels: dict[str, str]) -> None:
    await org.types.create(org.dataset_ref, IdentityType("household", "Household", is_unique=False))
    await org.bind(Binding("household", "household"), Binding("loyaltyId", "loyaltyId"))
    with pytest.raises(InvalidInput):
        await org.attributes.put_channels(org.dataset_ref, channels)


async def test_a_confirmed_channel_change_is_applied(org: Organisation) -> None:
    await org.bind(Binding("loyaltyId", "loyaltyId"))
    await org.person()
    with pytest.raises(ConfirmationRequired) as raised:
        await org.attributes.put_channels(org.dataset_ref, {"Web": "loyaltyId"})
    confirmation = raised.value.confirmation
    with pytest.raises(ConfirmationRequired):
        await org.attributes.put_channels(org.dataset_ref, {"Mobile": "loyaltyId"}, confirmation)
    found = await org.attributes.put_channels(org.dataset_ref, {"Web": "loyaltyId"}, confirmation)
    assert found == {"Web": "loyaltyId"}


# -- the schema ---------------------------------------------------------------------------------------------


async def test_a_bound_attribute_cannot_change_or_be_deleted(org: Organisation) -> None:
    await org.bind(BY_CARD, Binding("emailAddress", "emailAddress"))
    schemas, claims = org.services.schema.schemas, org.services.identity_provider.directory_claims
    retyped = AttributeChange(
        attribute_name="traits.card", value_type="integer", merge_strategy="overwrite", mutability="readWrite"
    )
    renamed = structs.replace(retyped, value_type="string", attribute_name="traits.other")
    for change in (retyped, renamed):
        with pytest.raises(AttributeRejected, match="identity attribute 'loyaltyId'"):
            await schemas.redefine(org.dataset_ref, "traits", "card", change)
    for arguments in (("traits", "card"), ("traits",), ()):
        with pytest.raises(AttributeRejected, match="unbind it first"):
            await schemas.undefine(org.dataset_ref, *arguments)
    await schemas.undefine(org.dataset_ref, "traits", "plan")
    with pytest.raises(Conflict, match="emailAddress"):
        await claims.delete(org.dataset_ref, "emailAddress")
    with pytest.raises(Conflict, match="emailAddress"):
        await claims.change(org.dataset_ref, "emailAddress", {"value_type": "integer"})
    await claims.add(org.dataset_ref, DirectoryClaim("nickname"))
    await org.bind()
    assert await claims.delete(org.dataset_ref, "emailAddress")
    await schemas.undefine(org.dataset_ref, "traits", "card")


# -- the document -------------------------------------------------------------------------------------------

DOCUMENT: dict[str, Any] = {
    "identity_types": {
        "loyaltyId": {"label": "Card", "trusted_only": True},
        "household": {"is_unique": False},
        "emailAddress": {"blocked_values": ["desk@acme.example"]},
    },
    "datasets": {
        "default": {
            "identity_attributes": {"emailAddress": {"attribute": "traits.mail"}, "loyaltyId": None},
            "channel_identities": {"Web": "loyaltyId"},
        },
        "web": {
            "label": "Shop",
            "merged_anonymous": "fresh",
            "channel_identity_conflict": "replace",
            "user_attributes": {"colour": {"type": "String"}, "gone": None},
            "identity_attributes": {"customerId": None},
        },
    },
}


async def _apply(org: Organisation, document: dict[str, Any]) -> dict[str, Preview]:
    parsed = read_document(document)
    previews = await org.documents.previews(org.dataset_ref, parsed)
    await org.documents.apply(org.dataset_ref, parsed, previews)
    return previews


async def test_an_applied_document_has_no_differences(org: Organisation) -> None:
    pair = [await org.person(mail=word) for word in ("ann", "ANN")]
    parsed = read_document(DOCUMENT)
    lines = await org.documents.diff(org.dataset_ref, parsed)
    assert "~ identity type loyaltyId: trusted_only false → true" in lines
    assert "+ identity type household: is_unique false" in lines
    assert '~ identity type emailAddress: blocked_values [] → ["desk@acme.example"]' in lines
    assert "+ dataset web: label Shop, merged_anonymous fresh, channel_identity_conflict replace" in lines
    assert "+ dataset web user attribute colour: type String" in lines
    assert "~ dataset default channel Web: customerId → loyaltyId" in lines
    previews = await _apply(org, DOCUMENT)
    assert {name: preview.profiles_absorbed for name, preview in previews.items()} == {"default": 1}
    await org.index()
    assert len(set(await org.survivors(*pair))) == 1
    assert await org.documents.diff(org.dataset_ref, parsed) == []
    versions = [await org.version(name) for name in ("default", "web")]
    await _apply(org, DOCUMENT)
    assert [await org.version(name) for name in ("default", "web")] == versions


async def test_a_document_without_a_type_that_has_values_changes_nothing(
    org: Organisation,
) -> None:
    bound = {"default": {"identity_attributes": {"mailId": {"attribute": "traits.mail"}}}}
    await org.person(mail="ann")
    await _apply(org, {"identity_types": {"mailId": None}, "datasets": bound})
    await org.index()
    version = await org.version("default")
    without_type = {"identity_types": {}, "datasets": {"default": {"identity_attributes": {}}}}
    with pytest.raises(Conflict, match="values of 'mailId'"):
        await _apply(org, without_type)
    assert await org.version("default") == version


async def test_the_export_equals_the_stored_data(org: Organisation, services: Services) -> None:
    await _apply(org, DOCUMENT)
    exported = await org.documents.export(org.dataset_ref)
    assert await org.documents.diff(org.dataset_ref, read_document(exported)) == []
    await services.directory.organisations.put("copy", "copy")
    copy = Organisation(services, await services.directory.organisations.get("copy"))
    await copy.begin()
    await _apply(copy, exported)
    assert await copy.documents.export(copy.dataset_ref) == exported


async def test_a_document_removes_types_and_bindings_that_it_omits(org: Organisation) -> None:
    await _apply(org, DOCUMENT)
    smaller = {
        "identity_types": {"loyaltyId": {}},
        "datasets": {"default": {"identity_attributes": {}, "channel_identities": {}}},
    }
    lines = await org.documents.diff(org.dataset_ref, read_document(smaller))
    assert "- identity type household" in lines
    assert "- dataset default identity attribute loyaltyId" in lines
    await _apply(org, smaller)
    assert await org.types_of("default") == {"loyaltyId"}
    assert await org.documents.diff(org.dataset_ref, read_document(smaller)) == []
    assert await org.datasets.find(org.dataset_ref, "web") is not None
    assert await org.documents.diff(org.dataset_ref, read_document(None)) == []


async def test_a_larger_change_than_confirmed_is_not_applied(org: Organisation) -> None:
    document = {
        "datasets": {"default": {"identity_attributes": {"emailAddress": {"attribute": "traits.mail"}}}}
    }
    parsed = read_document(document)
    await org.person(mail="ann")
    previews = await org.documents.previews(org.dataset_ref, parsed)
    await org.person(mail="ann")
    with pytest.raises(Conflict, match="Preview it again"):
        await org.documents.apply(org.dataset_ref, parsed, previews)


@pytest.mark.parametrize(
    "raw",
    [
        5,
        [],
        {"colour": 1},
        {"identity_types": []},
        {"identity_types": {"x": {"is_unique": "Often"}}},
        {"identity_types": {"x": {"colour": 1}}},
        {"datasets": {"web": {"visit_timeout_millis": "long"}}},
        {"datasets": {"web": {"identity_attributes": ["x"]}}},
        {"datasets": {"web": {"identity_attributes": {"x": {"kind": 1}}}}},
    ],
    ids=str,
)
def test_an_invalid_document_is_rejected(raw: Any) -> None:
    with pytest.raises(InvalidInput):
        read_document(raw)


@pytest.mark.parametrize(
    "document",
    [
        {"identity_types": {"two words": {}}},
        {"identity_types": {"loyaltyId": {"case_sensitive": True}}},
        {"datasets": {"default": {"visit_timeout_millis": 1}}},
        {"datasets": {"default": {"user_attributes": {"plan": {"type": "Number"}}}}},
        {"datasets": {"default": {"identity_attributes": {"x": {"identity_type": "nothing"}}}}},
        {"datasets": {"default": {"channel_identities": {"Web": "nothing"}}}},
        {"datasets": {"default": {"pipeline_identity_resolution": False}}},
    ],
    ids=str,
)
async def test_a_document_that_cannot_be_applied_is_rejected(
    org: Organisation, document: dict[str, Any]
) -> None:
    with pytest.raises(RequestError):
        await _apply(org, document)


async def test_another_organisations_dataset_is_unknown(org: Organisation, services: Services) -> None:
    await org.datasets.create(org.dataset_ref, "web", {})
    await services.directory.organisations.put("other", "other")
    other = await services.directory.organisations.get("other")
    with pytest.raises(NotFound):
        await org.datasets.show(other, "web")
    with pytest.raises(NotFound):
        await org.types.find(other, "loyaltyId")


async def test_a_binding_without_an_attribute_uses_the_claim_of_the_same_meaning(org: Organisation) -> None:
    for claim in ("emailaddress", "mobile"):
        await org.services.identity_provider.directory_claims.add(org.dataset_ref, DirectoryClaim(claim))
    await org.types.create(org.dataset_ref, IdentityType("phone", "Phone"))
    mail, phone = Binding("emailAddress", "emailAddress"), Binding("tel", "phone")
    await org.attributes.put(org.dataset_ref, [mail, phone, Binding("loyaltyId", "loyaltyId")])
    assert {bound.name: bound.attribute for bound in await org.attributes.list(org.dataset_ref)} == {
        "emailAddress": "identity_attributes.emailaddress",
        "tel": "identity_attributes.mobile",
        "loyaltyId": "identity_attributes.loyaltyId",
    }


async def test_a_binding_without_an_attribute_keeps_the_one_that_it_has(org: Organisation) -> None:
    """A claim that comes later does not move it."""
    mail = Binding("emailAddress", "emailAddress", "traits.mail")
    await org.attributes.put(org.dataset_ref, [mail])
    claim = DirectoryClaim("emailaddress")
    await org.services.identity_provider.directory_claims.add(org.dataset_ref, claim)
    (bound,) = await org.attributes.put(org.dataset_ref, [Binding("emailAddress", "emailAddress")])
    assert bound.attribute == "traits.mail"


async def test_a_claim_that_cannot_hold_identities_is_not_bound(org: Organisation) -> None:
    await org.services.identity_provider.directory_claims.add(
        org.dataset_ref, DirectoryClaim("emailaddress", multi_valued=True)
    )
    (bound,) = await org.attributes.put(org.dataset_ref, [Binding("mail", "emailAddress")])
    assert bound.attribute == "identity_attributes.mail"


async def test_the_differences_of_a_document_name_the_default_attribute(org: Organisation) -> None:
    claim = DirectoryClaim("emailaddress")
    await org.services.identity_provider.directory_claims.add(org.dataset_ref, claim)
    document = read_document({"datasets": {"default": {"identity_attributes": {"emailAddress": {}}}}})
    (line,) = await org.documents.diff(org.dataset_ref, document)
    assert line.endswith("attribute identity_attributes.emailaddress")
    await org.documents.apply(org.dataset_ref, document, {})
    assert await org.documents.diff(org.dataset_ref, document) == []


async def test_a_name_that_differs_only_in_case_is_rejected(org: Organisation) -> None:
    """In user attributes, bindings, and between two of one request."""
    await org.datasets.create(org.dataset_ref, "web", {}, read_changes({"plan": {}}))
    web = await org.dataset("web")
    for changes in ({"Plan": {}}, {"size": {}, "Size": {}}):
        with pytest.raises(Conflict, match="differs only in case") as raised:
            await org.datasets.change(org.dataset_ref, "web", {}, read_changes(changes))
        assert raised.value.code == "taken"
    with pytest.raises(Conflict, match="differs only in case"):
        await org.attributes.put(web, [Binding("loyaltyId", "loyaltyId", "traits.PLAN")])
    document = read_document({"datasets": {"web": {"user_attributes": {"PLAN": {}}}}})
    with pytest.raises(Conflict, match="differs only in case"):
        await org.documents.apply(org.dataset_ref, document, {})
    await org.datasets.change(org.dataset_ref, "web", {}, read_changes({"plan": {"label": "Plan"}}))


async def test_a_claim_that_differs_only_in_case_is_rejected(org: Organisation) -> None:
    claims = org.services.identity_provider.directory_claims
    await claims.add(org.dataset_ref, DirectoryClaim("address.city"))
    for name in ("Address", "ADDRESS.zip", "address.City"):
        with pytest.raises(Conflict, match="differs only in case") as raised:
            await claims.add(org.dataset_ref, DirectoryClaim(name))
        assert raised.value.code == "taken"
    await claims.add(org.dataset_ref, DirectoryClaim("address.zip"))
