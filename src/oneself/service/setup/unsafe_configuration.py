"""Configuration that lets a stranger read or become somebody else, and names that divide values.

Lives here: pure checks of stored configuration; `oneself doctor` prints what they find. Self-registration is
always open in the embedded directory, and nobody verifies its addresses and numbers.
Source: docs/concepts/trust.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.service.directory.applications import Application

#: What a person's token can use: reading and changing the person's own profile and consents.
PERSONAL_PERMISSIONS = frozenset({"internal_cds_profile_view", "internal_cds_profile_update"})
#: Provider claims that whoever registers chooses, and nobody verifies.
UNVERIFIED_CLAIMS = tuple(f"{IDENTITY_ATTRIBUTES}.{claim}" for claim in ("emailaddress", "mobile"))


class ConfigurationWarning(msgspec.Struct, frozen=True):
    """What is unsafe, and what to do."""

    sentence: str
    advice: str


def check_applications(org: str, applications: Iterable[Application]) -> Iterator[ConfigurationWarning]:
    """Browser applications that hold permissions of which a person's token can use none."""
    for application in applications:
        needless = sorted(set(application.permissions) - PERSONAL_PERMISSIONS)
        if application.kind == "browser" and needless:
            yield ConfigurationWarning(
                f"{org}: the browser application {application.client_id} has permissions that no person "
                f"needs: {', '.join(needless)}.",
                f"Change the application: give it no permissions but "
                f"{' and '.join(sorted(PERSONAL_PERMISSIONS))}.",
            )


def check_sign_in_dataset(org: str, config: Config) -> Iterator[ConfigurationWarning]:
    """Rules and identity attributes by which somebody becomes a person who signs in.

    `config`: of the dataset `default`, to which people sign in.
    """
    if not config.settings.cds_enabled:
        return
    rules = [rule for rule in config.rules.values() if rule.is_active]
    yield from _asserted_merges(org, config)
    yield from _unverified(org, config)
    matched = {*UNVERIFIED_CLAIMS, *(rule.property_name for rule in rules)}
    for binding in config.identity_attributes.values():
        identity_type = config.types[binding.type_id]
        if identity_type.can_match and not identity_type.trusted_only and binding.attribute in matched:
            yield ConfigurationWarning(
                f"{org}: in the dataset default, people sign in, and an event without credentials that names "
                f"{binding.name} is joined to the person with that value ({binding.attribute}).",
                f"Accept it from servers only: oneself identity-type change {binding.type_id} --trusted-only "
                f"--org {org}; or send events of pages to another dataset.",
            )


def _asserted_merges(org: str, config: Config) -> Iterator[ConfigurationWarning]:
    if config.dataset.asserted_merges != "unprotected":
        yield ConfigurationWarning(
            f"{org}: in the dataset default, people sign in, and an event without credentials that names two "
            f"people merges them in the view all (asserted_merges: {config.dataset.asserted_merges}).",
            f"Change it: oneself dataset change default --asserted-merges unprotected --org {org}.",
        )
    if config.dataset.default_view == "all":
        yield ConfigurationWarning(
            f"{org}: in the dataset default, people sign in, and applications that name no view read what "
            "the business only believes (default_view: all).",
            f"Change it: oneself dataset change default --default-view proven --org {org}.",
        )


def check_names(org: str, dataset: str, config: Config) -> Iterator[ConfigurationWarning]:
    """Attributes whose names differ only in case."""
    for names in config.schema.names_alike():
        yield ConfigurationWarning(
            f"{org}: in the dataset {dataset}, attributes differ only in case: {', '.join(names)}.",
            "They divide the values of one attribute. Write one of them only, and delete the other.",
        )


def _unverified(org: str, config: Config) -> Iterator[ConfigurationWarning]:
    """Rules and identity attributes on a claim that nobody verifies."""
    for rule in config.rules.values():
        if rule.is_active and rule.property_name in UNVERIFIED_CLAIMS:
            yield ConfigurationWarning(
                f"{org}: the rule {rule.rule_name!r} matches {rule.property_name}, which nobody verifies: "
                "whoever registers with the value of a person is joined to that person in the view all.",
                f"Deactivate it: oneself rule deactivate {rule.rule_id} --org {org}; or match a value that "
                "your servers assign.",
            )
    for binding in config.identity_attributes.values():
        if binding.attribute in UNVERIFIED_CLAIMS and config.types[binding.type_id].can_match:
            yield ConfigurationWarning(
                f"{org}: the identity attribute {binding.name} matches {binding.attribute}, which nobody "
                "verifies: whoever registers with the value of a person is joined to that person "
                "in the view all.",
                f"Unbind it where people register themselves: oneself dataset attributes default --unbind "
                f"{binding.name} --org {org}.",
            )
