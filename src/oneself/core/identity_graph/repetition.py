"""Events that repeat whom their browser is: they say nothing that their fragment does not hold already.

Invariants: pure. An event comes to the same here as in `observe` without this short cut: the values are the
same, and as old as before; only their last source is the event.

Source: docs/concepts/trust.md, "Fragments".
"""

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.normalise import display_value
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fold import FoldRules
from oneself.core.identity_graph.fragment import Fragment, Write
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.observation import Observation
from oneself.core.values.record import Path, Record, ValueSource, as_old_as, read


def repeated(
    graph: IdentityGraph,
    device: Identifier,
    observation: Observation,
    evidence: Evidence,
    config: Config,
    rules: FoldRules,
    seq: int,
) -> Fragment | None:
    """The fragment of an event after it, if it repeats what is there; None: more is to be decided.

    `device`: from `browser_that_repeats`. The graph stays as it is.
    """
    browser = graph.browsers.get(device)
    if browser is None or len(browser.present) != 1 or browser.current != browser.present[0]:
        return None
    fragment = graph.fragments.get(browser.present[0])
    if fragment is None or fragment.origin == "user" or fragment.began_with:
        return None
    if not _holds_all(graph, fragment, evidence.persons):
        return None
    if not config.bindings:
        return fragment
    source = observation.source(seq)
    again: Fragment | None = fragment
    for raw in observation.identifiers:
        match = config.bindings.get(raw.namespace)
        if match is not None and again is not None:
            again = _with_source(again, match.path, display_value(raw.value), source, rules)
    return again


def _holds_all(graph: IdentityGraph, fragment: Fragment, persons: tuple[Identifier, ...]) -> bool:
    """Whether a browser itself named all of these before, and they have not changed hands since."""
    if not fragment.named.issuperset(persons):
        return False
    present = {claim.tenure.identifier for claim in fragment.claims if claim.until is None}
    return present.issuperset(persons) and not any(item in graph.transfers for item in persons)


def _with_source(
    fragment: Fragment, path: Path, value: object, source: ValueSource, rules: FoldRules
) -> Fragment | None:
    """The fragment with a new source of a value that it has; None: it does not have it so."""
    depth = len(path)
    written = [item for item in fragment.writes if item.path[:depth] == path]
    if len(written) != 1 or rules.values.writes_once:
        return None
    (known,) = written
    is_asserted = ".".join(path) in rules.identity_paths
    if known.path != path or known.value != value or known.is_asserted_identity != is_asserted:
        return None
    if known.source.trust != source.trust or known.source.at > source.at:
        return None
    values, provenance, leaf = fragment.record.values, fragment.record.provenance, ".".join(path)
    if provenance.get(leaf) != (known.source,) or type(value) is not str or read(values, path) != value:
        return None
    (aged,) = as_old_as((known.source,), (source,))
    record = Record(values, {**provenance, leaf: (aged,)})
    write = Write(path, value, aged, is_asserted, EvidenceLevel.ASSERTED)
    writes = (*(item for item in fragment.writes if item is not known), write)
    return msgspec.structs.replace(fragment, writes=writes, record=record, seq=source.seq)
