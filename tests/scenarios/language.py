"""Reads scenario files: each line is one observation and its expected outcome.

    identity email bound                                  set-up lines come first
    attribute traits.tags string combine multi-valued
    setting detach_on_sign_out
    limit profiles_per_merge_max 2
    limit values_per_namespace_max 2
    rule tags traits.tags priority=1 active

    device x  event  email=Ann@x.org   -> create P1 named
    device y  event                    -> create P2 anonymous
    device y  event  email=ann@X.ORG   -> merge P2 into P1  because identity:email
    finally P2 merged_to P1

A line is an actor, an act, fields, `->`, clauses. Actors: `device x`, `device x+y`, `P1`, `P1 device x`
or `server`. Acts: `event sign-in sign-out write create erase`. Fields: `user=`, `trust=`, `as=`
(application), `at=` (`90s`, `5m`, `3h`, `2d` after the start), `traits.…=`, `identity_attributes.…=`,
`application_data.…=`, and any declared identity type. Profiles are P1, P2, … in order of creation.
Rules change between observations: a whole `rule` line adds one; `rule tags active` (`inactive`, `gone`,
`priority=2`) changes it. `index` applies all waiting rules to existing profiles.
Clauses: `create P1 named`, `attach P1`, `promote P1`, `merge P2, P3 into P1 because …`,
`device x moves to P1` (or `to nobody`), `refused CODE P2 and P1`, `drop email CODE`, `reject CODE`,
`erase P1`, `nothing`. An outcome that the line does not list is an error; only kinds, reasons and pairs may
be omitted.
`#` begins a comment. Every mistake in a file is a `ScenarioError` with file, line and message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from scenarios.flow import FlowError, parse_flow
from scenarios.words import (
    MINUTE_US,
    SECOND_US,
    START_US,
    Act,
    Attach,
    AttributeLine,
    Clause,
    Create,
    DeviceAt,
    Drop,
    Ending,
    EndLine,
    Erase,
    Gone,
    IdentityType,
    Kind,
    KindIs,
    Line,
    Merge,
    MergedTo,
    Move,
    Nothing,
    Refuse,
    Reject,
    RuleLine,
    Scenario,
    Setup,
    Step,
    UserIs,
    ValuesAre,
)

SCOPES = ("identity_attributes", "traits", "application_data")
KINDS = get_args(Kind)
_ACTS_WITHOUT_ACTOR = ("rule", "index")
ACTS = tuple(act for act in get_args(Act) if act not in _ACTS_WITHOUT_ACTOR)
_PROFILE = re.compile(r"P[1-9][0-9]*")
_DURATION = re.compile(r"([0-9]+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COMMENT = re.compile(r'(?:^|\s)#(?=[^"]*(?:"[^"]*"[^"]*)*$).*$')
_SETUP_WORDS = ("identity", "attribute", "setting", "limit")


class ScenarioError(ValueError):
    """A scenario file has a mistake."""


class _Words:
    """Reads the words of a line, one after another."""

    def __init__(self, text: str) -> None:
        self._words = list(_split(text))

    def __bool__(self) -> bool:
        return bool(self._words)

    def peek(self) -> str:
        return self._words[0] if self._words else ""

    def take(self, description: str) -> str:
        if not self._words:
            raise ScenarioError(f"{description} is missing at the end of the line")
        return self._words.pop(0)

    def skip(self, *words: str) -> bool:
        """Take the next word if it is one of `words`."""
        if self.peek() not in words:
            return False
        self._words.pop(0)
        return True

    def expect(self, *words: str) -> str:
        next_word = self.peek()
        for word in words:
            if self.skip(word):
                return word
        expected = " or ".join(map(repr, words))
        raise ScenarioError(f"expected {expected}, found {next_word or 'the end of the line'!r}")

    def profile(self) -> str:
        word = self.take("a profile")
        if not _PROFILE.fullmatch(word):
            raise ScenarioError(f"expected a profile like P1, found {word!r}")
        return word

    def profiles(self) -> tuple[str, ...]:
        names = [self.profile()]
        while self.peek() == "and" or (self.peek() == "," and _PROFILE.fullmatch(self._after_comma())):
            self.take("a profile")
            names.append(self.profile())
        return tuple(names)

    def _after_comma(self) -> str:
        return self._words[1] if len(self._words) > 1 else ""


def load(path: Path) -> Scenario:
    """The scenario in the file `path`, named after it."""
    return parse(path.read_text("utf-8"), path.stem)


def parse(text: str, name: str = "scenario") -> Scenario:
    """The scenario in `text`; errors and reports use `name`."""
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), start=1):
        content = _COMMENT.sub("", line).strip()
        if not content:
            continue
        try:
            reader.read(number, content)
        except (ScenarioError, FlowError) as error:
            raise ScenarioError(f"{name}:{number}: {error}\n    {content}") from error
    return Scenario(name, reader.setup, tuple(reader.lines), tuple(reader.endings))


class _Reader:
    def __init__(self) -> None:
        self.setup = Setup()
        self.lines: list[Line] = []
        self.endings: list[EndLine] = []

    def read(self, number: int, text: str) -> None:
        word = text.split(maxsplit=1)[0]
        if word in _SETUP_WORDS or (word == "rule" and "->" not in text):
            self._read_setup(text)
        elif word == "finally":
            self.endings.append(EndLine(number, text, _ending(text)))
        else:
            self._read_step(number, text)

    def _read_setup(self, text: str) -> None:
        if self.lines or self.endings:
            raise ScenarioError("set-up lines come before the first observation")
        self.setup = _set_up(self.setup, _Words(text))

    def _read_step(self, number: int, text: str) -> None:
        if self.endings:
            raise ScenarioError("nothing but `finally` lines may follow a `finally` line")
        observed, arrow, expected = text.partition("->")
        if not arrow:
            raise ScenarioError("'->' and the expected outcome are missing")
        names = {identity_type.name for identity_type in self.setup.identity_types}
        step = _step(_Words(observed), names, START_US + len(self.lines) * MINUTE_US)
        self.lines.append(Line(number, text, step, _clauses(_Words(expected))))


def _split(text: str) -> Iterator[str]:
    """The words between blanks. A comma is a word; text in quotes or brackets is not split."""
    word, depth, quoted = "", 0, False
    for character in text:
        quoted ^= character == '"'
        depth += (character in "[{") - (character in "]}") if not quoted else 0
        if (character.isspace() or character == ",") and not quoted and depth == 0:
            yield from (part for part in (word, character.strip()) if part)
            word = ""
        else:
            word += character
    if quoted or depth:
        raise ScenarioError("a quote or a bracket is not closed")
    if word:
        yield word


def _set_up(setup: Setup, words: _Words) -> Setup:
    match words.take("a set-up word"):
        case "identity":
            return msgspec.structs.replace(
                setup, identity_types=(*setup.identity_types, _identity_type(words))
            )
        case "attribute":
            return msgspec.structs.replace(setup, attributes=(*setup.attributes, _attribute(words)))
        case "limit":
            name = words.expect("profiles_per_merge_max", "values_per_namespace_max")
            limit = _integer(words.take("a number"))
            return msgspec.structs.replace(setup, **{name: limit})
        case "rule":
            return msgspec.structs.replace(setup, rules=(*setup.rules, _new_rule(words)))
        case _:
            words.expect("detach_on_sign_out")
            return msgspec.structs.replace(setup, detach_on_sign_out=True)


def _identity_type(words: _Words) -> IdentityType:
    fields: dict[str, Any] = {"name": words.take("the name of the identity type")}
    while words:
        option, _, value = words.take("an option").partition("=")
        match option:
            case "bound" | "case_sensitive" | "trusted_only" | "conflict_blocks_merge":
                fields[option] = True
            case "blocks":
                fields["blocked_values"] = tuple(map(str, parse_flow(value)))
            case _:
                raise ScenarioError(f"unknown option {option!r} of an identity type")
    return IdentityType(**fields)


def _attribute(words: _Words) -> AttributeLine:
    name, value_type, strategy = (words.take(word) for word in ("a name", "a value type", "a strategy"))
    if name.partition(".")[0] not in SCOPES:
        raise ScenarioError(f"the attribute {name!r} is in no scope; scopes are {', '.join(SCOPES)}")
    fields: dict[str, Any] = {}
    while words:
        option, _, value = words.take("an option").partition("=")
        match option:
            case "multi-valued":
                fields["multi_valued"] = True
            case "application" | "mutability":
                fields[option] = value
            case _:
                raise ScenarioError(f"unknown option {option!r} of an attribute")
    return AttributeLine(name, value_type, strategy, **fields)


def _new_rule(words: _Words) -> RuleLine:
    rule = _rule(words)
    if None in (rule.attribute, rule.priority, rule.is_active):
        raise ScenarioError("a rule has a name, an attribute, `priority=`, and is active or inactive")
    return rule


def _rule(words: _Words) -> RuleLine:
    fields: dict[str, Any] = {"name": words.take("the name of the rule")}
    while words:
        option, equals, value = words.take("an option").partition("=")
        match option:
            case "active" | "inactive":
                fields["is_active"] = option == "active"
            case "gone":
                fields["gone"] = True
            case "priority" if equals:
                fields["priority"] = _integer(value)
            case _ if option.partition(".")[0] in SCOPES:
                fields["attribute"] = option
            case _:
                raise ScenarioError(f"unknown option {option!r} of a rule")
    return RuleLine(**fields)


def _step(words: _Words, identity_types: set[str], at: int) -> Step:
    if words.skip("index"):
        return Step("index", at=at)
    if words.skip("rule"):
        rule = _rule(words)
        if rule.attribute is not None and None in (rule.priority, rule.is_active):
            raise ScenarioError("a new rule has `priority=`, and is active or inactive")
        return Step("rule", rule=rule, at=at)
    devices, profile = _actor(words)
    act = words.take("the act")
    if act not in ACTS:
        raise ScenarioError(f"unknown act {act!r}; acts are {', '.join(ACTS)}")
    fields: dict[str, Any] = {"at": at, "trust": "browser" if act == "event" else "server"}
    identities: list[tuple[str, str]] = []
    values: dict[str, Any] = {}
    while words:
        name, equals, text = words.take("a field").partition("=")
        if not equals:
            raise ScenarioError(f"a field is name=value, found {name!r}")
        if name in identity_types:
            identities.append((name, str(_text(text))))
        elif name.partition(".")[0] in SCOPES:
            _put(values, name.split("."), parse_flow(text))
        else:
            fields |= _field(name, text)
    return Step(act, devices, profile, tuple(identities), values=values, **fields)  # type: ignore[arg-type]


def _actor(words: _Words) -> tuple[tuple[str, ...], str | None]:
    if words.skip("server"):
        return (), None
    profile = words.profile() if _PROFILE.fullmatch(words.peek()) else None
    if words.skip("device"):
        return tuple(words.take("the name of the device").split("+")), profile
    if profile is None:
        raise ScenarioError("a line begins with `device x`, `P1`, `server`, a set-up word or `finally`")
    return (), profile


def _field(name: str, text: str) -> dict[str, Any]:
    match name:
        case "user":
            return {"user": _text(text)}
        case "as":
            return {"application": _text(text)}
        case "trust" if text in ("server", "browser"):
            return {"trust": text}
        case "at":
            return {"at": START_US + _duration_us(text)}
    raise ScenarioError(f"unknown field {name}={text}; is the identity type declared?")


def _text(text: str) -> str:
    return str(parse_flow(text)) if text.startswith('"') else text


def _duration_us(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ScenarioError(f"{text!r} is not a time; write 90s, 5m, 3h or 2d")
    return int(match[1]) * _SECONDS[match[2]] * SECOND_US


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise ScenarioError(f"{text!r} is not a number")
    return int(text)


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = value


def _clauses(words: _Words) -> tuple[Clause, ...]:
    clauses = []
    while words:
        clauses.append(_clause(words))
        while words.skip(","):
            pass
    if not clauses:
        raise ScenarioError("the expected outcome is missing; write `nothing` if nothing happens")
    return tuple(clauses)


def _clause(words: _Words) -> Clause:
    match words.take("a clause"):
        case "create":
            return Create(words.profile(), _kind(words))
        case "attach":
            return Attach(words.profile(), _kind(words))
        case "promote":
            return Attach(words.profile(), _kind(words), promoted=True)
        case "merge":
            absorbed = words.profiles()
            words.expect("into")
            return Merge(absorbed, words.profile(), _reason(words))
        case "device":
            return _move(words)
        case "refused":
            code = words.take("the code of the refusal")
            return Refuse(code, words.profiles() if _PROFILE.fullmatch(words.peek()) else ())
        case "drop":
            return Drop(words.take("the dropped identifier"), words.take("the code"))
        case "reject":
            return Reject(words.take("the code of the rejection"))
        case "erase":
            return Erase(words.profiles())
        case "nothing":
            return Nothing()
        case word:
            raise ScenarioError(f"unknown clause {word!r}")


def _move(words: _Words) -> Move:
    device = words.take("the name of the device")
    words.expect("moves")
    words.expect("to")
    return Move(device, _profile_or_nobody(words))


def _profile_or_nobody(words: _Words) -> str | None:
    return None if words.skip("nobody") else words.profile()


def _kind(words: _Words) -> Kind | None:
    return words.take("a kind") if words.peek() in KINDS else None  # type: ignore[return-value]


def _reason(words: _Words) -> str | None:
    return words.take("the reason") if words.skip("because") else None


def _ending(text: str) -> Ending:
    statement = text.split(maxsplit=1)[1] if " " in text else ""
    subject, equals, value = statement.partition("=")
    if equals and _PROFILE.fullmatch(subject.strip()):
        return ValuesAre(subject.strip(), _values(value))
    words = _Words(statement)
    ending = _device_at(words) if words.skip("device") else _state(words)
    if words:
        raise ScenarioError(f"unexpected {words.peek()!r}")
    return ending


def _values(text: str) -> dict[str, Any]:
    values = parse_flow(text)
    if not isinstance(values, dict):
        raise ScenarioError("the values of a profile are an object")
    nested: dict[str, Any] = {}
    for name, value in values.items():
        _put(nested, name.split("."), value)
    return nested


def _device_at(words: _Words) -> DeviceAt:
    device = words.take("the name of the device")
    words.expect("at")
    return DeviceAt(device, _profile_or_nobody(words))


def _state(words: _Words) -> Ending:
    profile = words.profile()
    kind = _kind(words)
    if kind is not None:
        return KindIs(profile, kind)
    match words.take("the final state"):
        case "merged_to":
            return MergedTo(profile, words.profile(), _reason(words))
        case "user":
            return UserIs(profile, words.take("a user id"))
        case "gone":
            return Gone(profile)
        case word:
            raise ScenarioError(f"unknown state {word!r} of a profile")
