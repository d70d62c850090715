"""Which values of a profile a reader sees (docs/wire/cds.md §5.3)."""

from __future__ import annotations

from oneself.core.disclosure import ANY, IDENTITY_DATA, Grant, Reader, disclose

VALUES = {
    "identity_attributes": {"emailaddress": "ann@acme.example", "address": {"city": "Brno"}},
    "traits": {"plan": "gold", "size": {"shoe": 42}},
    "application_data": {"shop": {"score": 1, "cart": ["x"]}, "app": {"score": 2}},
}
SHOP = Reader("shop", is_system=False)
SHOP_WITH_DATA = Reader("shop", is_system=False, with_application_data=True)


def test_a_system_application_sees_everything_it_asks_for() -> None:
    crm = Reader("crm", is_system=True)
    assert disclose(VALUES, crm, frozenset()) == {k: VALUES[k] for k in ("identity_attributes", "traits")}
    everything = Reader("crm", is_system=True, with_application_data=True)
    assert disclose(VALUES, everything, frozenset()) == VALUES


def test_a_system_application_can_select_application_data() -> None:
    reader = Reader("crm", True, with_application_data=True, applications=frozenset({"app", "nobody"}))
    assert disclose(VALUES, reader, frozenset())["application_data"] == {"app": {"score": 2}}


def test_other_applications_see_only_the_mandatory_category() -> None:
    assert disclose(VALUES, SHOP, IDENTITY_DATA) == {"identity_attributes": VALUES["identity_attributes"]}
    assert disclose(VALUES, SHOP_WITH_DATA, IDENTITY_DATA) == disclose(VALUES, SHOP, IDENTITY_DATA)


def test_without_a_mandatory_category_other_applications_see_nothing() -> None:
    assert disclose(VALUES, SHOP_WITH_DATA, frozenset()) == {}


def test_a_grant_discloses_a_first_level_key_with_all_its_members() -> None:
    granted = frozenset({Grant("traits", "size"), Grant("identity_attributes", "address")})
    assert disclose(VALUES, SHOP, granted) == {
        "identity_attributes": {"address": {"city": "Brno"}},
        "traits": {"size": {"shoe": 42}},
    }


def test_a_reader_sees_only_its_own_granted_application_data() -> None:
    granted = frozenset({Grant("application_data", "score", name) for name in ("shop", "app")})
    assert disclose(VALUES, SHOP_WITH_DATA, granted) == {"application_data": {"shop": {"score": 1}}}
    assert disclose(VALUES, SHOP, granted) == {}


def test_a_selection_never_widens_what_a_reader_sees() -> None:
    reader = Reader("shop", False, with_application_data=True, applications=frozenset({"app"}))
    granted = frozenset({Grant("application_data", ANY, "shop"), Grant("application_data", ANY, "app")})
    assert disclose(VALUES, reader, granted) == {
        "application_data": {"shop": VALUES["application_data"]["shop"]}
    }


def test_a_caller_without_application_has_no_application_data() -> None:
    reader = Reader(None, False, with_application_data=True)
    assert disclose(VALUES, reader, frozenset({Grant("application_data", ANY, "shop")})) == {}
