"""An event document in one form, whichever of its two namespaces it uses.

`EVENT` is the table of the structural fields and their types. A field of the wrong type rejects the event;
null means absent; other fields are ignored. `user.id`, `user.attributes` and `user.identities` accept any
JSON here; a later stage decides what it is worth.

Invariants: every object comes from `encodings`. Nothing here knows configuration, profiles or a clock.
Source: docs/wire/interactions.md §5.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from oneself.api.interactions.decode.encodings import InvalidEvent

Object: TypeAlias = dict[str, Any]
ConsentStatus: TypeAlias = Literal["Opt In", "Opt Out"]
# The names and positions that lead to a value.
Path: TypeAlias = tuple[str | int, ...]

#: Lines of one cart or order: the limit of the vendor (docs/wire/interactions.md §14).
LINES_MAX = 100
PROFILE_OBJECT_TYPES_MAX = 50
PROFILE_OBJECTS_PER_TYPE_MAX = 100
#: As many attributes as a dataset may define, and more identities than an account may have types (§14).
ATTRIBUTES_MAX = 1000
IDENTITIES_MAX = 100
#: A consent has a purpose and a provider; sites ask for a handful.
CONSENTS_MAX = 100
CONSENT_CHARS_MAX = 100
#: 9999-12-31T23:59:59.999Z, the end of the years that Python and ISO 8601 write with four digits.
EPOCH_MS_MAX = 253_402_300_799_999

CHANNEL_DEFAULT = "Web"
NAMESPACE_CONFLICT = "namespace_conflict"

_ID_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_ANONYMOUS_ID_MAX = 64
#: An id that the sender gives its event has as many characters; fewer could be guessed, or given twice.
_EVENT_ID_CHARS = range(16, 65)
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_PRIMARY_ID_DIGITS = 24
# An error repeats at most this much of a name that the client chose.
_NAME_CHARS_MAX = 64


class Consent(msgspec.Struct, frozen=True):
    """One answer of a visitor. `provider` is "" if the event names none."""

    purpose: str
    provider: str
    status: ConsentStatus


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event document, its two namespaces merged into one."""

    name: str | None
    #: The id that its sender gave it, by which repeats are recognised; None without one.
    event_id: str | None
    channel: str
    anonymous_id: str | None
    #: An anonymous id was sent that is not acceptable.
    anonymous_id_invalid: bool
    #: As received: a scalar or an array.
    user_id: Any
    #: As received, null values included.
    attributes: Object
    #: As received, null values included.
    identities: Object
    #: A secret.
    token: str | None
    #: "" requests one.
    tracker: str | None
    #: In µs since 1970; None means now.
    occurred_at: int | None
    is_interactive: bool
    do_not_track: bool
    explains: bool
    consents: tuple[Consent, ...]
    profile_objects: dict[str, list[Any]]
    #: The event as received, without tokens. It shares its parts with the other fields: nobody changes it.
    body: Object
    #: Codes; later stages add theirs.
    warnings: tuple[str, ...]


class Check(msgspec.Struct, frozen=True):
    """What a field accepts."""

    #: In words, for errors.
    words: str
    types: frozenset[type]
    #: Of an object of known fields, by name.
    fields: dict[str, Check] | None = None
    #: Of every entry of a list or of another object.
    entry: Check | None = None
    entries_max: int | None = None
    #: Its type is all that is checked.
    is_leaf: bool = False


def _leaf(words: str, *types: type) -> Check:
    return Check(words, frozenset(types), is_leaf=True)


def _object(**fields: Check) -> Check:
    return Check("an object", frozenset({dict}), fields=fields)


def _by_name(entry: Check, entries_max: int | None = None) -> Check:
    return Check("an object", frozenset({dict}), entry=entry, entries_max=entries_max)


def _list(entry: Check, entries_max: int | None = None) -> Check:
    return Check("an array", frozenset({list}), entry=entry, entries_max=entries_max)


ANY = _leaf("any JSON", str, int, float, bool, dict, list)
STRING = _leaf("a string", str)
BOOLEAN = _leaf("a boolean", bool)
NUMBER = _leaf("a number", int, float)
STRING_OR_NUMBER = _leaf("a string or a number", str, int, float)
STRING_OR_BOOLEAN = _leaf("a string or a boolean", str, bool)
OBJECT = _leaf("an object", dict)

_IDS_BY_TYPE = _by_name(_list(STRING))
_LINE_ITEM = _object(
    _id=STRING,
    catalogObjectType=STRING,
    catalogObjectId=STRING,
    price=NUMBER,
    quantity=NUMBER,
    currency=STRING,
    attributes=OBJECT,
)
_LINE_ITEMS = _list(_LINE_ITEM, LINES_MAX)
_ORDER = _object(orderId=STRING, id=STRING, totalValue=NUMBER, currency=STRING, lineItems=_LINE_ITEMS)

#: Both tables of docs/wire/interactions.md §5 in one: every spelling is understood wherever it appears.
EVENT = _object(
    eventId=STRING,
    action=STRING,
    itemAction=STRING,
    interaction=_object(
        name=STRING,
        catalogObject=_object(type=STRING, id=STRING, attributes=OBJECT, relatedCatalogObjects=_IDS_BY_TYPE),
        lineItem=_LINE_ITEM,
        lineItems=_LINE_ITEMS,
        order=_ORDER,
    ),
    user=_object(
        id=ANY,
        anonymousId=ANY,
        anonId=ANY,
        encryptedId=STRING,
        anonymousProfileTracker=STRING,
        attributes=_by_name(ANY, ATTRIBUTES_MAX),
        identities=_by_name(ANY, IDENTITIES_MAX),
        profileObjects=_by_name(
            _list(
                _object(id=STRING, attributes=OBJECT, relatedCatalogObjects=_IDS_BY_TYPE),
                PROFILE_OBJECTS_PER_TYPE_MAX,
            ),
            PROFILE_OBJECT_TYPES_MAX,
        ),
    ),
    account=_object(id=STRING, domain=STRING, encryptedId=STRING, attributes=OBJECT),
    source=_object(
        channel=STRING,
        application=STRING,
        pageType=STRING,
        url=STRING,
        urlReferrer=STRING,
        locale=STRING,
        userAgent=STRING,
        clientIp=STRING,
        contentZones=_list(STRING),
        configVersion=STRING_OR_NUMBER,
        beaconVersion=STRING_OR_NUMBER,
        time=NUMBER,
        operatingSystem=STRING,
        device=STRING,
        surveyId=STRING_OR_NUMBER,
        surveyStartTime=STRING_OR_NUMBER,
    ),
    flags=_object(noCampaigns=BOOLEAN, doNotTrack=BOOLEAN, pageView=BOOLEAN, nonInteractive=BOOLEAN),
    pageView=BOOLEAN,
    explain=BOOLEAN,
    catalog=_by_name(_object(_id=STRING)),
    cart=_object(singleLine=_by_name(_LINE_ITEM), complete=_by_name(_LINE_ITEMS)),
    order=_by_name(_ORDER),
    campaignStats=_list(_object(experienceId=STRING, stat=STRING, control=BOOLEAN, catalog=_IDS_BY_TYPE)),
    consents=_list(_object(purpose=STRING, provider=STRING, status=STRING), CONSENTS_MAX),
    performance=_by_name(NUMBER),
    debug=_object(explanations=BOOLEAN, testMessages=STRING_OR_BOOLEAN),
)


def decode_event(document: Object) -> Event:
    """The event in a JSON object that came through `encodings`; raises InvalidEvent."""
    _check(document, EVENT, ())
    interaction, user, source, flags, debug = (
        document.get(part) or {} for part in ("interaction", "user", "source", "flags", "debug")
    )
    names = interaction.get("name") or None, document.get("action") or None
    devices = _unless_blank(user.get("anonymousId")), _unless_blank(user.get("anonId"))
    page_views = document.get("pageView"), flags.get("pageView")
    explanations = document.get("explain"), debug.get("explanations")
    items = interaction.get("catalogObject"), document.get("catalog")
    conflict = any(map(_disagree, (names, devices, page_views, explanations))) or _items_disagree(*items)
    device = _preferred(devices)
    is_valid = _is_anonymous_id(device)
    return Event(
        name=_preferred(names),
        event_id=_event_id(document.get("eventId")),
        channel=source.get("channel") or CHANNEL_DEFAULT,
        anonymous_id=device if is_valid else None,
        anonymous_id_invalid=not is_valid and device is not None,
        user_id=user.get("id"),
        attributes=user.get("attributes") or {},
        identities=user.get("identities") or {},
        token=user.get("encryptedId") or None,
        tracker=user.get("anonymousProfileTracker"),
        occurred_at=_occurred_at(source.get("time")),
        is_interactive=not flags.get("nonInteractive"),
        do_not_track=bool(flags.get("doNotTrack")),
        explains=bool(_preferred(explanations)),
        consents=_consents(document.get("consents")),
        profile_objects=_profile_objects(user.get("profileObjects")),
        body=_without_tokens(document),
        warnings=(NAMESPACE_CONFLICT,) if conflict else (),
    )


def _event_id(event_id: str | None) -> str | None:
    if event_id is None:
        return None
    if len(event_id) not in _EVENT_ID_CHARS or not _ID_SIGNS.issuperset(event_id):
        raise InvalidEvent("eventId must have 16 to 64 letters, digits, - and _, chosen at random.")
    return event_id


def _check(value: Any, check: Check, path: Path) -> None:
    """Raise InvalidEvent for the first value, in the order of the document, that `check` does not accept."""
    if value is None:
        return
    if type(value) not in check.types:
        raise InvalidEvent(f"{_dotted(path)} must be {check.words}.")
    if check.entries_max is not None and len(value) > check.entries_max:
        raise InvalidEvent(f"{_dotted(path)} has more than {check.entries_max} entries; send fewer.")
    if check.fields is not None:
        _check_fields(value, check.fields, path)
    elif check.entry is not None and check.entry is not ANY:
        for step, entry in value.items() if type(value) is dict else enumerate(value):
            _check(entry, check.entry, (*path, step))


def _check_fields(part: Object, fields: dict[str, Check], path: Path) -> None:
    for name, value in part.items():
        check = fields.get(name)
        # Nearly every field is a leaf of the right type: one look-up saves the call.
        if check is not None and not (check.is_leaf and type(value) in check.types):
            _check(value, check, (*path, name))


def _dotted(path: Path) -> str:
    """Such as `cart.complete.Product[3].price`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step[:_NAME_CHARS_MAX]}" for step in path)
    return "".join(steps).removeprefix(".") or "The event"


def _preferred(spellings: tuple[Any, Any]) -> Any:
    """The Interactions spelling of a field; the Evergage one if only that is there."""
    interactions, evergage = spellings
    return evergage if interactions is None else interactions


def _disagree(spellings: tuple[Any, Any]) -> bool:
    interactions, evergage = spellings
    return interactions is not None and evergage is not None and interactions != evergage


def _items_disagree(catalog_object: Object | None, catalog: dict[str, Object | None] | None) -> bool:
    """Whether `interaction.catalogObject` is not among the items that `catalog` names by their type."""
    kind = catalog_object and catalog_object.get("type")
    items = {key: item for key, item in (catalog or {}).items() if item is not None}
    if not catalog_object or not kind or not items:
        return False
    return kind not in items or _disagree((catalog_object.get("id"), items[kind].get("_id")))


def _unless_blank(value: Any) -> Any:
    return None if value == "" else value


def _is_anonymous_id(value: Any) -> bool:
    """`[A-Za-z0-9_-]{1,64}`, but not 24 hex digits: only the service makes those (§9.1)."""
    return (
        type(value) is str
        and 0 < len(value) <= _ANONYMOUS_ID_MAX
        and _ID_SIGNS.issuperset(value)
        and not (len(value) == _PRIMARY_ID_DIGITS and _HEX_DIGITS.issuperset(value))
    )


def _occurred_at(epoch_ms: int | float | None) -> int | None:
    if epoch_ms is None:
        return None
    if epoch_ms < 0:
        raise InvalidEvent("source.time must be in epoch milliseconds, from 1970 on.")
    return int(min(epoch_ms, EPOCH_MS_MAX) * 1000)


def _consents(entries: list[Object | None] | None) -> tuple[Consent, ...]:
    if not entries:
        return ()
    return tuple(_consent(entry, index) for index, entry in enumerate(entries) if entry is not None)


def _consent(entry: Object, index: int) -> Consent:
    """A consent without a purpose or a valid status is rejected, because ignoring it would lose a choice."""
    purpose, status = entry.get("purpose"), entry.get("status")
    if not purpose:
        raise InvalidEvent(f"consents[{index}].purpose must not be empty.")
    if len(purpose) > CONSENT_CHARS_MAX or len(entry.get("provider") or "") > CONSENT_CHARS_MAX:
        sentence = f"consents[{index}]: purpose and provider have at most {CONSENT_CHARS_MAX} characters."
        raise InvalidEvent(sentence)
    if status not in ("Opt In", "Opt Out"):
        raise InvalidEvent(f'consents[{index}].status must be "Opt In" or "Opt Out".')
    return Consent(purpose, entry.get("provider") or "", status)


def _profile_objects(by_type: dict[str, list[Any] | None] | None) -> dict[str, list[Any]]:
    if not by_type:
        return {}
    return {
        kind: [entry for entry in objects if entry is not None]
        for kind, objects in by_type.items()
        if objects is not None
    }


def _without_tokens(document: Object) -> Object:
    """The document without `user.encryptedId` and `_toolsEventLinkId`; copies only what changes."""
    body, user = document, document.get("user")
    if "_toolsEventLinkId" in document:
        body = _without(document, "_toolsEventLinkId")
    if user and "encryptedId" in user:
        body = {**body, "user": _without(user, "encryptedId")}
    return body


def _without(part: Object, name: str) -> Object:
    return {key: value for key, value in part.items() if key != name}
