"""Enabling: what turning the service on for an organisation brings with it (wire/cds §11)."""

import uuid

from oneself.core.config import Config, ConfigChange, PutCategory, PutSettings, Several
from oneself.core.consent import MANDATORY_NAME, MANDATORY_PURPOSE, Category


def with_mandatory(config: Config, change: PutSettings) -> ConfigChange:
    """A change of settings; the first enabling makes the mandatory consent category together with it."""
    if not change.cds_enabled or any(category.is_mandatory for category in config.categories.values()):
        return change
    mandatory = Category(str(uuid.uuid4()), MANDATORY_NAME, MANDATORY_PURPOSE, is_mandatory=True)
    return Several((change, PutCategory(mandatory)))
