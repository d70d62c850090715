"""What the configuration of a dataset means for the identity graph.

Invariants: pure functions of the configuration.

Source: docs/concepts/trust.md, "Joins", "Owner" and "Guards".
"""

from collections.abc import Mapping

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import USER_ID_NAMESPACE
from oneself.core.identity_graph.fold import FoldRules
from oneself.core.identity_graph.owners import OwnerRules
from oneself.core.identity_graph.partition import Guards
from oneself.core.identity_graph.replay import ReplayRules
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES, WRITE_ONCE


class GraphRules(msgspec.Struct, frozen=True):
    """The part of the configuration that the identity graph depends on."""

    fold: FoldRules
    owners: OwnerRules
    guards: Guards
    #: What a join hangs on → why profiles were merged, as responses say it (docs/wire/cds.md §5).
    reasons: Mapping[str, str]


#: The name under which a configuration keeps its rules, as it keeps its cached properties.
_CACHED = "graph_rules"


def graph_rules(config: Config) -> GraphRules:
    """The rules by which a configuration folds words and joins fragments, made once for each."""
    cached: dict[str, GraphRules] = vars(config)
    if _CACHED not in cached:
        cached[_CACHED] = _rules_of(config)
    return cached[_CACHED]


def _rules_of(config: Config) -> GraphRules:
    sources = config.identifier_sources
    values = ReplayRules(
        schema=config.schema,
        strategies=config.merge_strategies,
        writes_once=any(item.mutability == WRITE_ONCE for item in config.schema.attributes),
        tiered=frozenset(
            ".".join(match.path) for match in config.bindings.values() if config.is_tiered(match)
        ),
    )
    return GraphRules(
        fold=FoldRules(
            values=values,
            newest_wins=config.dataset.identity_trust == "timestamp",
            identity_paths=config.identity_holders | {".".join(match.path) for match in sources},
            detaches_on_sign_out=config.settings.detach_on_sign_out,
            reports_join=config.dataset.report_joins == "at_once",
        ),
        owners=OwnerRules(
            claim_paths={match.name: match.path for match in sources if match.scope == IDENTITY_ATTRIBUTES},
            proving=frozenset(match.name for match in sources if match.namespace.proves_identity),
        ),
        guards=Guards(
            matching=config.matching,
            separating=config.separating,
            separates_since=config.separates_since,
            separated=config.separated,
            joins_protected=config.dataset.asserted_merges == "all",
            profiles_per_merge_max=config.limits.profiles_per_merge_max,
            merge_limits=config.merge_limits,
            priorities={match.name: match.namespace.priority for match in sources},
        ),
        reasons={rule.property_name: rule.rule_name for rule in config.rules.values()}
        | {name: item.reason for name in config.matching if (item := config.namespace(name))}
        | {"user": USER_ID_NAMESPACE.reason},
    )
