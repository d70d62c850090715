"""Plans of statements in a large dataset. It is populated and analysed here, so no other test has a say."""

from __future__ import annotations

from uuid import UUID

from oneself.store.database import Database

#: Profiles that another profile absorbed.
ABSORBED = 300
#: Profiles without activity of that person.
OTHER_PROFILES = 2_000
#: Profiles with ten entries and one claim each.
POPULATE = """
WITH part AS (
    INSERT INTO profile (dataset_id, profile_id, survivor_id, reason, primary_id, seq, created_at,
                         updated_at, active_at, record_values, provenance, identities, consents, visit_at,
                         first_active_at)
    SELECT $1, gen_random_uuid(), CASE WHEN number <= $3 THEN $2::uuid END,
           CASE WHEN number <= $3 THEN 'anonymous' END, number::text, number,
           now(), now(), now(), '{}', '{}', '{}', '{}', now(), now()
    FROM generate_series(1, $3 + $4::integer) AS number
    RETURNING profile_id, seq
), claimed AS (
    INSERT INTO claim (dataset_id, namespace, value, seq, profile_id, trust, at, since)
    SELECT $1, 'customerId', 'populated-' || seq, seq, profile_id, 'browser', seq, seq FROM part
)
INSERT INTO log (dataset_id, seq, observation_id, profile_id, kind, config_version, content)
SELECT $1, part.seq * 10 + number, gen_random_uuid(), part.profile_id, 'event', 1, '{}'
FROM part, generate_series(1, 10) AS number
"""


async def plan_of(
    database: Database, dataset_id: int, person: UUID, statement: str, *parameters: object
) -> str:
    """The plan of the statement in the dataset, where `person` absorbed 300 of 2 300 profiles.

    It changes nothing.
    """
    async with database.connection() as connection:
        populating = connection.transaction()
        await populating.start()
        try:
            await connection.execute(POPULATE, dataset_id, person, ABSORBED, OTHER_PROFILES)
            await connection.execute("ANALYZE log, profile, claim")
            found = await connection.fetch(f"EXPLAIN (COSTS off) {statement}", dataset_id, *parameters)
        finally:
            await populating.rollback()
    return "\n".join(row[0] for row in found)
