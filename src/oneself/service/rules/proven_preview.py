"""Preview of a rule in the view `proven`: what it would do to the profiles that servers say are one person.

    fragments with a value of servers ─▶ who shares one ─▶ reindexed as by the job ─▶ the views after it

Invariants: the same functions as the identity graph of the write path, on a graph that is discarded. What was
only asserted changes nothing in it.

Source: docs/concepts/trust.md, "Views"; docs/concepts/resolution.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID, uuid4

import msgspec

from oneself.core.config.changes import PutRule
from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.core.config.rule_checks import check_rule
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import IdentifierSource, UnificationRule
from oneself.core.identity_graph.fragment_record import record_of
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.observe import Observed, observe
from oneself.core.identity_graph.partition import Component, Guards
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.identity_graph.stored_values import stored_identifiers
from oneself.core.identity_graph.views import ViewedProfile, Views
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.observation import Reindex
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.rules.former_values import find_former, former_identifiers, unindexed_former
from oneself.service.rules.preview import (
    ENTRIES_MAX,
    NOTHING,
    Preview,
    PreviewedMerge,
    PreviewedRefusal,
    PreviewedValueChange,
    changed_paths,
    cut_preview,
)
from oneself.service.rules.stored_values import find_verified, proven_values
from oneself.store.database import Database
from oneself.store.identity_graph import read_decisions
from oneself.store.shared_values import SharedValues, open_shared_values
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Tables


class ProvenPreviews:
    """Says what a rule would do in the view `proven`."""

    def __init__(
        self, database: Database, configurations: Configurations, *, entries_max: int = ENTRIES_MAX
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._entries_max = entries_max

    async def preview(self, dataset_ref: DatasetRef, rule: UnificationRule) -> Preview:
        """As `Previews.preview`, for the profiles of the view `proven`. Raises rule_checks.RuleRejected."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        check_rule(config, rule)
        before = config.rules.get(rule.rule_id)
        if not rule.is_active and (before is None or not before.is_active):
            return NOTHING
        now = await Tables(self._database, dataset_ref.dataset_id).log.find_change_seq()
        after = configure(config, PutRule(rule), now)
        async with open_shared_values(self._database, dataset_ref.dataset_id) as values:
            if rule.is_active:
                found = await _joining(values, config, after, rule)
            else:
                found = await _separating(values.transaction, config, rule)
        return cut_preview(found, self._entries_max)


async def _joining(values: SharedValues, config: Config, after: Config, rule: UnificationRule) -> Preview:
    matches = [match for match in after.identifier_sources if match.source_id == rule.rule_id]
    indexed = {head for match in matches for head in await _put_values(values, match, after)}
    members = _Members(values.transaction)
    await members.load(await values.find_sharing(), matches, after)
    before = await members.views(config)
    await members.reindex(matches, after)
    change = _Change(members.heads, before, await members.views(after), {match.name for match in matches})
    return change.preview(len(indexed))


async def _put_values(values: SharedValues, match: IdentifierSource, config: Config) -> set[UUID]:
    """Note which profile has which value of a source; returns the profiles that have any."""
    heads: set[UUID] = set()
    async for page in values.fragment_pages(match):
        verified = await find_verified(values.transaction, (row.fragment for row in page))
        former = await find_former(values.transaction, page, match, config)
        held = [
            (identifier, row.proven_id)
            for row in page
            for identifier in (
                *proven_values(row.fragment, match, config, verified),
                *former_identifiers(former, row),
            )
        ]
        heads.update(head for _, head in held)
        await values.put(held)
    return heads


class _Members:
    """The fragments of some profiles, and the graph that they are."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.graph = IdentityGraph()
        self._rows: list[FragmentRow] = []
        #: Fragment → the profile that it belongs to now.
        self.heads: dict[UUID, UUID] = {}

    async def load(self, heads: Sequence[UUID], matches: Sequence[IdentifierSource], config: Config) -> None:
        """Read the fragments of profiles with their values, and what was verified and changed hands."""
        rules = graph_rules(config).fold.values
        for row in await self._tables.fragments.find_members_of_heads(heads):
            record = record_of(row.fragment.writes, rules)
            fragment = self.graph.put(msgspec.structs.replace(row.fragment, record=record))
            self.heads[fragment.fragment_id] = row.proven_id
            self._rows.append(row)
        fragments = list(self.graph.fragments.values())
        await read_decisions(self._tables, self.graph)
        self.graph.verified |= await find_verified(self._tables, fragments)
        named = {
            item for match in matches for one in fragments for item in stored_identifiers(one, match, config)
        }
        self.graph.transfers |= await self._tables.verified_claims.find_transfers(named)

    async def reindex(self, matches: Sequence[IdentifierSource], config: Config) -> None:
        """Fold what the reindex job of a rule says about every fragment."""
        named = tuple(Identifier(match.name, "") for match in matches)
        if not self._rows or not named:
            return
        seq = max(config.seq, *(row.fragment.seq for row in self._rows)) + 1
        rules, ids = graph_rules(config), tuple(self.graph.fragments)
        indexing = Reindex(
            observation_id=uuid4(), new_profile_id=uuid4(), interface="rules", identifiers=named
        )
        observe(self.graph, Observed(indexing, Evidence(named, (), ()), seq, config, rules, ids))
        for match in matches:
            for former in await unindexed_former(self._tables, self._rows, match, config):
                evidence = Evidence(former.identifiers, (), ())
                observe(self.graph, Observed(former, evidence, seq, config, rules, former.fragment_ids or ()))

    async def views(self, config: Config, guards: Guards | None = None) -> Views:
        """What the fragments amount to now, by the rules of a configuration, perhaps with other guards."""
        graph, rules, activity = _copied(self.graph), graph_rules(config), dict[tuple[UUID, int], int]()
        views = Views(
            graph,
            graph.fragments.values(),
            guards or rules.guards,
            rules.fold.values,
            lambda *key: activity.get(key, 0),
        )
        asked = views.activity_that_ranks(("own", "proven"))
        activity |= await self._tables.fragments.find_activity(asked) if asked else {}
        return views


def _copied(graph: IdentityGraph) -> IdentityGraph:
    """A graph of the same fragments, which does not change with the other one."""
    copied = IdentityGraph()
    for fragment in graph.fragments.values():
        copied.put(fragment)
    copied.verified, copied.transfers = dict(graph.verified), dict(graph.transfers)
    copied.person_joins, copied.separations = list(graph.person_joins), dict(graph.separations)
    return copied


def _components(views: Views) -> list[Component]:
    """The components of the view `proven`, each once."""
    found = {component.members: component for component in views.partition("proven").components.values()}
    return sorted(found.values(), key=lambda component: min(component.members))


class _Change(msgspec.Struct, frozen=True):
    """The views of some fragments before and after a change."""

    #: Fragment → the profile that it belongs to before.
    heads: Mapping[UUID, UUID]
    before: Views
    after: Views
    #: The namespaces that the change makes match.
    names: Collection[str]

    def preview(self, indexed: int) -> Preview:
        """`indexed`: how many profiles have a value."""
        joined = [item for item in _components(self.after) if len(self._parts(item)) > 1]
        merges = sorted(map(self._merge, joined), key=lambda merge: (-len(merge.absorbed), merge.survivor))
        profiles = [self.after.of("proven", min(component.members)) for component in joined]
        changes = [change for profile in profiles for change in self._changes(profile)]
        refusals = self._refusals()
        return Preview(
            profiles_indexed=indexed,
            profiles_absorbed=sum(len(merge.absorbed) for merge in merges),
            groups=len(merges),
            largest_group=max((1 + len(profile.absorbed) for profile in profiles), default=1),
            merges=tuple(merges),
            values_changed_count=len(changes),
            values_changed=tuple(changes),
            refusals_count=len(refusals),
            refusals=refusals,
            separated_count=0,
            separated=(),
        )

    def _parts(self, component: Component) -> set[UUID]:
        """The profiles that a component consists of before."""
        return {self.heads[member] for member in component.members}

    def _merge(self, component: Component) -> PreviewedMerge:
        survivor = self.after.of("proven", min(component.members)).profile_id
        absorbed = tuple(sorted(self._parts(component) - {survivor}))
        between = (join.via for join in component.joins if self.heads[join.one] != self.heads[join.other])
        return PreviewedMerge(survivor, absorbed, next(between, None))

    def _changes(self, profile: ViewedProfile) -> list[PreviewedValueChange]:
        survivor = profile.profile_id
        before = self.before.of("proven", survivor).record.values
        paths = changed_paths(before, profile.record.values)
        return [PreviewedValueChange(survivor, path) for path in paths]

    def _refusals(self) -> tuple[tuple[str, UUID, UUID], ...]:
        """The joins of the change that do not count, as (code, profile, other profile) after it."""
        found: dict[tuple[str, UUID, UUID], None] = {}
        for item in self.after.partition("proven").refused:
            via = item.join.via
            one, other = sorted(
                self.after.of("proven", side).profile_id for side in (item.join.one, item.join.other)
            )
            if one != other and via is not None and via.namespace in self.names:
                found[item.code, one, other] = None
        return tuple(found)


async def _separating(tables: Tables, config: Config, rule: UnificationRule) -> Preview:
    """The profiles that a rule holds together: what they would be if it had never been active."""
    rules = graph_rules(config)
    reason = rules.reasons.get(rule.property_name, rule.property_name)
    matching = {name: until for name, until in rules.guards.matching.items() if name != rule.property_name}
    guards = msgspec.structs.replace(rules.guards, matching=matching)
    separated: list[PreviewedRefusal] = []
    for head in await tables.view_profiles.find_merged_for(reason):
        members = _Members(tables)
        await members.load([head], (), config)
        views = await members.views(config, guards)
        groups = [_ids(views.of("proven", min(item.members))) for item in _components(views)]
        if len(groups) > 1:
            separated.append(PreviewedRefusal(head, tuple(groups)))
    return msgspec.structs.replace(NOTHING, separated_count=len(separated), separated=tuple(separated))


def _ids(profile: ViewedProfile) -> tuple[UUID, ...]:
    return (profile.profile_id, *sorted(profile.merged_from))
