"""The configuration that observations are judged by, as one versioned value (DESIGN §7).

A change is an observation too: `configure` folds it in. Each observation in the log names the version that
it was judged by.
"""

import msgspec

from oneself.core.identifier import (
    ANONYMOUS_ID,
    DEVICE_NAMESPACE,
    TRACKER,
    USER_ID,
    USER_ID_NAMESPACE,
    Namespace,
)
from oneself.core.schema import Attribute, Schema


class OrganisationSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `/config` of the CDS wire holds (wire/cds §11)."""

    cds_enabled: bool = False
    system_applications: tuple[str, ...] = ()
    detach_on_sign_out: bool = False


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one observation may join (DESIGN §4.6). Beyond it a person is asked for.

    A household or a shop's tablet collects some dozens of browsers; a group that grows by more than
    `profiles_per_merge_max` at once is nearly always one bad value.
    """

    profiles_per_merge_max: int = 100


_BUILT_IN = {USER_ID: USER_ID_NAMESPACE, TRACKER: DEVICE_NAMESPACE, ANONYMOUS_ID: DEVICE_NAMESPACE}


class Config(msgspec.Struct, frozen=True):
    """Everything an observation is judged by. `version` counts the changes since the dataset was made."""

    version: int = 0
    seq: int = 0
    schema: Schema = Schema(())
    settings: OrganisationSettings = OrganisationSettings()
    namespaces: dict[str, Namespace] = {}
    limits: Limits = Limits()

    def namespace(self, name: str) -> Namespace | None:
        """How a namespace is read; None if the dataset does not know it."""
        return _BUILT_IN.get(name) or self.namespaces.get(name)


class PutAttributes(msgspec.Struct, frozen=True, tag="put_attributes"):
    """Define attributes, or redefine those with the same id."""

    attributes: tuple[Attribute, ...]


class DropAttributes(msgspec.Struct, frozen=True, tag="drop_attributes"):
    """Remove attributes by id; values on profiles stay."""

    attribute_ids: tuple[str, ...]


class PutSettings(msgspec.Struct, frozen=True, tag="put_settings", omit_defaults=True):
    """Change organisation settings; None leaves one as it is."""

    cds_enabled: bool | None = None
    system_applications: tuple[str, ...] | None = None
    detach_on_sign_out: bool | None = None


class PutNamespace(msgspec.Struct, frozen=True, tag="put_namespace"):
    """Add a person namespace, or change how its values are read."""

    name: str
    namespace: Namespace


class PutLimits(msgspec.Struct, frozen=True, tag="put_limits"):
    """Change how far one observation may join."""

    limits: Limits


ConfigChange = PutAttributes | DropAttributes | PutSettings | PutNamespace | PutLimits


def configure(config: Config, change: ConfigChange, seq: int) -> Config:
    """The configuration after a change that was recorded at `seq`."""
    changed = msgspec.structs.replace(config, version=config.version + 1, seq=seq)
    match change:
        case PutAttributes(attributes):
            return msgspec.structs.replace(changed, schema=config.schema.with_(attributes))
        case DropAttributes(attribute_ids):
            return msgspec.structs.replace(changed, schema=config.schema.without(attribute_ids))
        case PutSettings():
            return msgspec.structs.replace(changed, settings=_settings(config.settings, change))
        case PutNamespace(name, namespace):
            return msgspec.structs.replace(changed, namespaces={**config.namespaces, name: namespace})
        case PutLimits(limits):
            return msgspec.structs.replace(changed, limits=limits)


def _settings(settings: OrganisationSettings, change: PutSettings) -> OrganisationSettings:
    given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not None}
    return msgspec.structs.replace(settings, **given)


class ConfigDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A configuration as it is stored: the schema as its attributes."""

    version: int
    seq: int
    attributes: tuple[Attribute, ...] = ()
    settings: OrganisationSettings = OrganisationSettings()
    namespaces: dict[str, Namespace] = {}
    limits: Limits = Limits()


def to_document(config: Config) -> ConfigDocument:
    """The stored form of a configuration."""
    return ConfigDocument(
        version=config.version,
        seq=config.seq,
        attributes=tuple(config.schema.attributes),
        settings=config.settings,
        namespaces=config.namespaces,
        limits=config.limits,
    )


def from_document(document: ConfigDocument) -> Config:
    """The configuration that a stored form holds."""
    return Config(
        version=document.version,
        seq=document.seq,
        schema=Schema(document.attributes),
        settings=document.settings,
        namespaces=document.namespaces,
        limits=document.limits,
    )
