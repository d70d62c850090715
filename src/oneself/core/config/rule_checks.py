"""The checks that a unification rule must pass.

Invariants: rejections carry reasons, not codes or statuses of an API.

Source: docs/wire/cds.md §9.
"""

from typing import Literal

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier_source import UnificationRule

#: A user id always identifies a person; a rule on it could only change its priority.
USER_ID_PROPERTIES = frozenset({"user_id", "identity_attributes.user_id"})

RuleReason = Literal[
    "user_id",
    "application_data",
    "unknown_attribute",
    "complex_attribute",
    "duplicate_attribute",
    "duplicate_priority",
]


class RuleRejected(Exception):
    """A rule is rejected.

    `reason`: the broken rule; `subject`: the attribute or priority; `detail`: one sentence for the sender.
    """

    def __init__(self, reason: RuleReason, subject: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.subject = subject
        self.detail = detail


def check_rule(config: Config, rule: UnificationRule) -> None:
    """Raises RuleRejected if the rule must not be added, or must not replace the rule with the same id."""
    others = [other for other in config.rules.values() if other.rule_id != rule.rule_id]
    name, priority = rule.property_name, rule.priority
    if rule.rule_id not in config.rules:
        _check_attribute(config, name)
    if any(other.property_name == name for other in others):
        raise RuleRejected("duplicate_attribute", name, f"A unification rule for '{name}' already exists.")
    if any(other.priority == priority for other in others):
        detail = f"Priority {priority} is already used by another rule."
        raise RuleRejected("duplicate_priority", str(priority), detail)


def _check_attribute(config: Config, name: str) -> None:
    if name in USER_ID_PROPERTIES:
        raise RuleRejected("user_id", name, "The user id identifies without a rule.")
    if name.startswith("application_data."):
        raise RuleRejected("application_data", name, "Unification rules on application data are not allowed.")
    attribute = config.schema.find(name)
    if attribute is None:
        raise RuleRejected("unknown_attribute", name, f"The schema has no attribute '{name}'.")
    if attribute.value_type == "complex":
        detail = f"Attribute '{name}' is complex. Choose one of its sub-attributes."
        raise RuleRejected("complex_attribute", name, detail)
