"""What a unification rule must be to be accepted (wire/cds §9)."""

from typing import Literal

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier_source import UnificationRule

USER_ID_PROPERTIES = frozenset({"user_id", "identity_attributes.user_id"})


class InvalidRule(Exception):
    """A rule that is refused. `problem`: `property` (wire code 15201), `duplicate` (12003) or `priority`
    (12004)."""

    def __init__(self, problem: Literal["property", "duplicate", "priority"], description: str) -> None:
        super().__init__(description)
        self.problem = problem
        self.description = description


def check_rule(config: Config, rule: UnificationRule) -> None:
    """Raises InvalidRule unless the rule may be added, or may replace the one with its id."""
    others = [each for each in config.rules.values() if each.rule_id != rule.rule_id]
    if rule.rule_id not in config.rules:
        _check_property(config, rule.property_name)
    if any(each.property_name == rule.property_name for each in others):
        raise InvalidRule("duplicate", f"A unification rule for '{rule.property_name}' already exists.")
    if any(each.priority == rule.priority for each in others):
        raise InvalidRule("priority", f"Priority {rule.priority} is already used by another rule.")


def _check_property(config: Config, name: str) -> None:
    if name in USER_ID_PROPERTIES:
        raise InvalidRule("property", "user_id based unification rule can not be created.")
    if name.startswith("application_data."):
        raise InvalidRule("property", "Unification rules on application data are not allowed.")
    attribute = config.schema.find(name)
    if attribute is None:
        raise InvalidRule("property", f"PropertyName  '{name}' is not found in schema")
    if attribute.value_type == "complex":
        raise InvalidRule(
            "property",
            f"PropertyName '{name}' is not allowed as it is a complex data type. "
            "Choose the sub-attribute instead.",
        )
