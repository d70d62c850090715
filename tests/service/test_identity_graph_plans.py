"""How the statements of the identity graph read and write: by an index, with every key in its condition."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from oneself.store.database import Database
from oneself.store.queries import Queries
from oneself.store.tables.log import CHANGING_OF_FRAGMENTS, CHANGING_OF_PROFILES

ID = UUID(int=1)
NAMES = (["emailAddress"], ["ann@acme.example"])
#: A dataset in which one address is asserted of every browser. Thirty profiles hold each identifier, so that
#: look-ups by profile and by identifier do not cost the same: the planner would take either.
FILL = """
INSERT INTO fragment (dataset_id, fragment_id, believed_id, origin, owner_id, exact_key, state, own_id,
                      proven_id, record_values, updated_at, created_at, seq)
SELECT 1, id, id, CASE WHEN n % 2 = 0 THEN 'user' ELSE 'server' END, CASE WHEN n % 2 = 0 THEN 'u-' || n END,
       CASE WHEN n % 2 = 1 THEN n::text::bytea END, '{}', id, id, '{}', n, n, n
FROM generate_series(1, 3000) AS n, LATERAL (SELECT lpad(to_hex(n), 32, '0')::uuid AS id) AS made;
INSERT INTO fragment_claim (dataset_id, namespace, value, tenure, fragment_id, level, since)
SELECT 1, 'emailAddress', 'ann@acme.example', 0, fragment_id, 0, seq FROM fragment WHERE dataset_id = 1;
INSERT INTO fragment_claim (dataset_id, namespace, value, tenure, fragment_id, level, since)
SELECT 1, 'emailAddress', fragment_id::text, 0, fragment_id, 1, seq FROM fragment WHERE dataset_id = 1;
INSERT INTO profile (dataset_id, profile_id, primary_id, created_at, updated_at, active_at, seq,
                     record_values, provenance, identities, consents, visit_at, first_active_at)
SELECT 1, fragment_id, '', now(), now(), now(), seq, '{}', '{}', '{}', '{}', now(), now() FROM fragment;
INSERT INTO claim (dataset_id, namespace, value, seq, profile_id, trust, at, since)
SELECT 1, 'emailAddress', (seq % 100)::text, seq, fragment_id, 'server', seq, seq FROM fragment;
INSERT INTO log (dataset_id, seq, observation_id, kind, config_version, content, profile_id, fragment_id)
SELECT 1, seq, lpad(to_hex(seq + 9000), 32, '0')::uuid, 'event', 1, '{}',
       CASE WHEN seq % 2 = 0 THEN fragment_id ELSE lpad('1', 32, '0')::uuid END, fragment_id
FROM fragment;
INSERT INTO browser (dataset_id, namespace, value, present, every)
SELECT 1, 'tracker', fragment_id::text, ARRAY[fragment_id], ARRAY[fragment_id] FROM fragment;
INSERT INTO identifier_transfer SELECT 1, 'emailAddress', fragment_id::text, ARRAY[seq] FROM fragment;
INSERT INTO verified_claim
SELECT 1, fragment_id::text, ARRAY['emailAddress'], fragment_id::text, 1, '[]' FROM fragment;
INSERT INTO view_profile
SELECT 1, 'own', fragment_id, NULL, 1, 1, '{}', '{}', '{}', '[]', fragment_id FROM fragment;
INSERT INTO person_join SELECT 1, fragment_id, fragment_id, 1, 1, 'bridge' FROM fragment;
INSERT INTO log (dataset_id, seq, observation_id, kind, config_version, content)
SELECT 1, seq, fragment_id, 'verification', 1,
       jsonb_build_object('user_id', 'u-' || seq, 'value', fragment_id)
FROM fragment;
INSERT INTO verification_queue (dataset_id, change, user_id) SELECT 1, 'verified', 'u-' || seq FROM fragment;
INSERT INTO merge SELECT 1, fragment_id, seq, fragment_id, 'x', NULL, NULL, fragment_id FROM fragment;
INSERT INTO refusal SELECT 1, 'x', fragment_id, fragment_id, '', 1, 1, 1 FROM fragment;
ANALYZE merge, refusal, profile, claim, log, verification_queue, fragment, fragment_claim, browser,
    identifier_transfer, person_join, verified_claim, view_profile;
"""
#: Table, statement, parameters, the index, what its condition contains.
STATEMENTS: list[tuple[str, str, tuple[Any, ...], str, str]] = [
    ("profile", "lock_holders", (*NAMES, [ID], [ID], [ID]), "claim_key", "value"),
    ("profile", "lock_holders", (*NAMES, [ID], [ID], [ID]), "profile_key", "profile_id"),
    ("browser", "find", NAMES, "browser_key", "value"),
    ("browser", "find_with_fragments", (*NAMES, 0, False, ["u-1"]), "browser_key", "value"),
    ("browser", "find_acting", NAMES, "browser_key", "value"),
    ("browser", "find_acting", NAMES, "fragment_key", "fragment_id"),
    ("browser", "find_with_fragments", (*NAMES, 0, False, ["u-1"]), "fragment_key", "fragment_id"),
    ("browser", "find_with_fragments", (*NAMES, 0, False, ["u-1"]), "fragment_of_user", "owner_id"),
    ("fragment", "find", ([ID], [], []), "fragment_key", "fragment_id"),
    ("fragment", "find", ([], ["u-1"], []), "fragment_of_user", "owner_id"),
    ("fragment", "find", ([], [], [b"digest"]), "fragment_exact", "exact_key"),
    ("fragment", "find_own_members", (ID,), "fragment_key", "fragment_id"),
    ("fragment", "find_own_members", (ID,), "fragment_by_own", "own_id"),
    ("fragment", "find_proven_members", (ID,), "fragment_by_proven", "proven_id"),
    ("fragment", "find_between", (ID, ID), "fragment_key", "fragment_id"),
    ("fragment", "find_heads", ("own", [1], [ID]), "log_key", "seq"),
    ("fragment", "find_heads", ("own", [1], [ID]), "fragment_key", "fragment_id"),
    ("event", "find_of_fragments", ([ID], 9, ID, 0, None, 0, 9, 9, 9), "log_by_fragment", "fragment_id"),
    ("event", "find_of_fragments", ([ID], 9, ID, 0, None, 0, 9, 9, 9), "log_by_profile", "profile_id"),
    ("event", "find_scan_end_of_fragments", ([ID], 9, 0, 9), "log_by_fragment", "fragment_id"),
    ("fragment", "lock", ([ID],), "fragment_key", "fragment_id"),
    ("fragment", "lock", ([ID],), "person_join_key", "one_id"),
    ("fragment", "lock", ([ID],), "person_join_by_other", "other_id"),
    ("person_join", "find", ([ID],), "person_join_key", "one_id"),
    ("person_join", "find", ([ID],), "person_join_by_other", "other_id"),
    ("person_join", "delete_of_fragments", ([ID],), "person_join_key", "one_id"),
    ("fragment", "find_last_activity", ([ID],), "log_by_fragment", "fragment_id"),
    ("fragment", "find_last_activity", ([ID],), "log_by_profile", "profile_id"),
    ("fragment", "find_believed", ([ID],), "fragment_key", "fragment_id"),
    ("fragment", "find_believed", ([ID],), "fragment_by_believed", "believed_id"),
    ("fragment", "find_claimants", NAMES, "fragment_claim_key", "value"),
    ("fragment", "find_proven_claimants", NAMES, "fragment_claim_proven", "value"),
    ("fragment", "find_waiting", NAMES, "fragment_claim_proven", "value"),
    ("fragment", "find_oldest_claimants", (*NAMES, [0], 9), "fragment_claim_by_age", "tenure"),
    ("fragment", "find_some_members", ("own", [ID], 9), "fragment_by_own", "own_id"),
    ("fragment", "find_some_members", ("proven", [ID], 9), "fragment_by_proven", "proven_id"),
    ("fragment", "find_activity", ([ID], [1]), "log_by_fragment", "fragment_id"),
    ("fragment", "find_activity", ([ID], [1]), "log_by_profile", "profile_id"),
    ("fragment", "find_entries", ([ID],), "log_by_fragment", "fragment_id"),
    ("fragment", "find_entries", ([ID],), "log_by_profile", "profile_id"),
    ("fragment", "delete", ([ID],), "log_by_fragment", "fragment_id"),
    ("fragment", "delete", ([ID],), "log_by_profile", "profile_id"),
    ("verified_claim", "find", (["u-1"], *NAMES), "verified_claim_by_value", "value"),
    ("log", "find_verifications", (["u-1"], []), "log_of_verified_users", "user_id"),
    ("log", "find_verifications", ([], ["7"]), "log_of_verified_values", "value"),
    ("log", "find_reviews_of", ([str(ID)],), "log_of_named_fragments", "fragment_ids"),
    ("fragment", "list_heads_apart", (ID, 9), "fragment_key", "fragment_id"),
    ("fragment", "list_heads_apart", (ID, 9), "fragment_by_proven", "proven_id"),
    ("fragment", "list_heads_apart", (ID, 9), "person_join_key", "one_id"),
    ("fragment", "list_heads_apart", (ID, 9), "person_join_by_other", "other_id"),
    ("verification_queue", "list_next", (50,), "verification_queue_key", "dataset_id"),
    ("verification_queue", "drop_user", ("u-1",), "verification_queue_of_user", "user_id"),
    ("verified_claim", "find_transfers", NAMES, "identifier_transfer_key", "value"),
    ("view_profile", "find_of_fragment", ("own", ID), "view_profile_key", "profile_id"),
    ("view_profile", "find_of_fragment", ("own", ID), "fragment_key", "fragment_id"),
    ("view_profile", "find_alone_of_fragment", ("own", ID), "view_profile_key", "profile_id"),
    ("explanation", "list_of_owner", ("u-2", ID, 9), "fragment_by_owner", "fragment_id"),
    ("explanation", "list_of_reported_user", ("u-2", ID, 9), "fragment_by_reported_user", "fragment_id"),
    ("explanation", "list_members", (ID, ID, 9), "fragment_by_proven", "fragment_id"),
    ("explanation", "list_claimants", (*NAMES, [0], 0, ID, 9), "fragment_claim_by_age", "since"),
    ("explanation", "find_claimants", (*NAMES, [0], ID, 9), "fragment_claim_by_age", "tenure"),
    ("explanation", "find_claimants", (*NAMES, [0], ID, 9), "fragment_key", "fragment_id"),
    ("explanation", "find_observations", ([1],), "log_key", "seq"),
    ("explanation", "list_merges", (ID, ID, 9), "profile_by_survivor", "profile_id"),
    ("explanation", "list_merges", (ID, ID, 9), "merge_key", "absorbed_id"),
    ("explanation", "find_merges_up", (ID, 9), "merge_key", "absorbed_id"),
    ("explanation", "find_claims", (*NAMES, [ID]), "claim_by_profile", "profile_id"),
    ("explanation", "find_refusals", ([ID], [ID]), "refusal_key", "profile_id"),
    ("explanation", "list_absorbed", (ID, 9), "profile_by_survivor", "survivor_id"),
    ("view_profile", "find_of_user", ("own", "u-2"), "view_profile_key", "profile_id"),
    ("view_profile", "find_of_user", ("own", "u-2"), "fragment_of_user", "owner_id"),
]


TEMPLATES: list[tuple[str, tuple[Any, ...], str, str]] = [
    (CHANGING_OF_PROFILES, ([ID], 9), "log_by_profile", "profile_id"),
    (CHANGING_OF_PROFILES, ([ID], 9), "log_key", "observation_id"),
    (CHANGING_OF_FRAGMENTS, ([ID], 9), "log_by_fragment", "fragment_id"),
]


@pytest.mark.parametrize(("table", "name", "parameters", "index", "key"), STATEMENTS)
async def test_a_statement_reads_by_every_key_of_an_index(
    database: Database, table: str, name: str, parameters: tuple[Any, ...], index: str, key: str
) -> None:
    await check_reads_by_index(database, getattr(Queries(table), name), parameters, index, key)


@pytest.mark.parametrize(("sql", "parameters", "index", "key"), TEMPLATES)
async def test_a_statement_of_a_template_reads_by_every_key_of_an_index(
    database: Database, sql: str, parameters: tuple[Any, ...], index: str, key: str
) -> None:
    await check_reads_by_index(database, sql, parameters, index, key)


async def check_reads_by_index(
    database: Database, sql: str, parameters: tuple[Any, ...], index: str, key: str
) -> None:
    async with database.connection() as connection:
        filling = connection.transaction()
        await filling.start()
        try:
            await connection.execute(FILL)
            found = await connection.fetch("EXPLAIN " + sql, 1, *parameters)
        finally:
            await filling.rollback()
    plan = [row[0] for row in found]
    assert not any("Seq Scan" in line for line in plan), "\n".join(plan)
    at = next((number for number, line in enumerate(plan) if index in line), None)
    assert at is not None, "\n".join(plan)
    assert key in plan[at + 1].split("Index Cond:")[1], "\n".join(plan)
