-- The table `log`: everything that happened, in the order of (seq, observation_id).

-- name: list_after
-- The next entries after a position, in order.
-- $2: seq
-- $3: observation
-- $4: how many at most
SELECT {entry_columns}
FROM log
WHERE dataset_id = $1 AND (seq, observation_id) > ($2, $3)
ORDER BY seq, observation_id
LIMIT $4;

-- name: find_keys_of_profiles
-- The entries that are attached to profiles.
-- $2: profile ids
SELECT seq, observation_id FROM log WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

-- name: find_of_profiles
-- Everything that is attached to profiles, in order.
-- $2: profile ids
SELECT {entry_columns}
FROM log
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[])
ORDER BY seq, observation_id;

-- name: find_profiles_of_fragments
-- The profiles that the entries of fragments are attached to.
-- $2: fragment ids
SELECT DISTINCT log.profile_id
FROM fragment_entry AS entry
JOIN log ON log.dataset_id = $1 AND log.seq = entry.seq AND log.observation_id = entry.observation_id
WHERE entry.dataset_id = $1 AND entry.fragment_id = ANY ($2::uuid[]) AND log.profile_id IS NOT NULL;

-- name: count_of_profiles
-- How many entries are attached to profiles, up to a number.
-- $2: profile ids
-- $3: the largest number
SELECT count(*) FROM (
    SELECT FROM log WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]) LIMIT $3
) AS entry;

-- name: find_attached
-- Which profile each entry of profiles is attached to, with its fragment.
-- $2: profile ids
SELECT DISTINCT fragment_id, profile_id
FROM log
WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]) AND fragment_id IS NOT NULL;

-- name: find_anonymous_ids
-- The anonymous ids that came with a tracker, the oldest first.
-- $2: fragments of its browser
-- $3: tracker
-- $4: rows at most
SELECT named ->> 'value' AS value
FROM fragment_entry AS entry
JOIN log ON log.dataset_id = $1 AND log.seq = entry.seq AND log.observation_id = entry.observation_id
CROSS JOIN LATERAL jsonb_array_elements(log.content -> 'identifiers') AS named
WHERE entry.dataset_id = $1 AND entry.fragment_id = ANY ($2::uuid[])
  AND named ->> 'namespace' = 'anonymous_id'
  AND (
    log.content ->> 'new_tracker' = $3::text
    OR log.content -> 'identifiers' @> jsonb_build_array(
        jsonb_build_object('namespace', 'tracker', 'value', $3::text)
    )
)
GROUP BY named ->> 'value'
ORDER BY min(log.seq)
LIMIT $4;

-- name: find_naming_fragments
-- The fragments that an anonymous id came with.
-- $2: fragments
-- $3: anonymous id
SELECT DISTINCT entry.fragment_id
FROM fragment_entry AS entry
JOIN log ON log.dataset_id = $1 AND log.seq = entry.seq AND log.observation_id = entry.observation_id
WHERE entry.dataset_id = $1 AND entry.fragment_id = ANY ($2::uuid[])
  AND log.content -> 'identifiers' @> jsonb_build_array(
      jsonb_build_object('namespace', 'anonymous_id', 'value', $3::text)
  );

-- name: find_of_fragments
-- Entries, and the reindexing of profiles and of fragments, in order.
-- $2: seqs of the entries
-- $3: their observations
-- $4: profile ids
-- $5: fragment ids
SELECT {entry_columns}
FROM (
    SELECT log.*
    FROM unnest($2::bigint[], $3::uuid[]) AS entry (seq, observation_id)
    JOIN log USING (seq, observation_id)
    WHERE log.dataset_id = $1
    UNION ALL
    SELECT log.* FROM log WHERE dataset_id = $1 AND profile_id = ANY ($4::uuid[]) AND kind = 'match'
    UNION
    SELECT log.* FROM log
    WHERE dataset_id = $1 AND kind = 'match' AND content -> 'fragment_ids' ?| $5::text[]
) AS log
ORDER BY seq, observation_id;

-- name: find_erasures_of
-- The erasures that joined fragments or let browsers begin anew, in order.
-- $2: fragment ids
-- $3: browsers, as JSON
SELECT {entry_columns}
FROM log
WHERE dataset_id = $1 AND kind = 'erase' AND (
    EXISTS (SELECT FROM jsonb_array_elements(content -> 'detached') AS device
            WHERE device = ANY ($3::text[]::jsonb[]))
    OR EXISTS (SELECT FROM jsonb_to_recordset(content -> 'bridges') AS bridge (one uuid, other uuid)
               WHERE one = ANY ($2::uuid[]) AND other = ANY ($2::uuid[]))
)
ORDER BY seq, observation_id;

-- name: find_reviews_of
-- The reviews of joins that looked at fragments, in order.
-- $2: fragment ids
SELECT {entry_columns}
FROM log
WHERE dataset_id = $1 AND kind = 'review' AND content -> 'fragment_ids' ?| $2::text[]
ORDER BY seq, observation_id;

-- name: note_ended
-- Add to the entry of a split which merges it ended.
-- $2: seq
-- $3: the split
-- $4: the merges, as JSON
UPDATE log SET content = content || jsonb_build_object('ended', $4::text::jsonb)
WHERE dataset_id = $1 AND seq = $2 AND observation_id = $3;

-- name: find_decisions_of
-- What people decided about fragments, in order.
-- $2: fragment ids
SELECT {entry_columns}
FROM log
WHERE dataset_id = $1 AND kind IN ('split', 'merge') AND content -> 'fragment_ids' ?| $2::text[]
ORDER BY seq, observation_id;

-- name: find_given_up
-- The accounts that were given up in decisions about fragments, with the fragments of their users.
-- $2: fragment ids
SELECT content ->> 'gave_up' AS user_id, content ->> 'disowned' AS fragment_ids
FROM log
WHERE dataset_id = $1 AND kind IN ('split', 'merge') AND content -> 'fragment_ids' ?| $2::text[]
  AND content ->> 'gave_up' IS NOT NULL;

-- name: find_disowned
-- The fragments that were a user's until the account was given up.
-- $2: the user
SELECT content ->> 'disowned' AS fragment_ids
FROM log
WHERE dataset_id = $1 AND kind IN ('split', 'merge') AND content ->> 'gave_up' = $2;

-- name: forget_reasons
-- Remove the words of people from what they decided about fragments, the merges that splits ended, and whose
-- account was given up if none of that user's fragments is left.
-- $2: fragment ids
UPDATE log SET content = content - 'reason' - 'ended' - CASE WHEN EXISTS (
    SELECT FROM jsonb_array_elements_text(content -> 'disowned') AS disowned (id)
    JOIN fragment ON fragment.dataset_id = $1 AND fragment_id = disowned.id::uuid
    WHERE disowned.id <> ALL ($2::text[])
) THEN '' ELSE 'gave_up' END, content_redacted = true
WHERE dataset_id = $1 AND kind IN ('split', 'merge') AND content ?| ARRAY['reason', 'ended', 'gave_up']
  AND content -> 'fragment_ids' ?| $2::text[];

-- name: find_profiles
-- The profiles that entries are attached to.
-- $2: seqs of the entries
-- $3: their observations
SELECT DISTINCT log.profile_id
FROM unnest($2::bigint[], $3::uuid[]) AS entry (seq, observation_id)
JOIN log USING (seq, observation_id)
WHERE log.dataset_id = $1 AND log.profile_id IS NOT NULL;

-- name: find_changes
-- Every change of configuration, in order.
SELECT {entry_columns}
FROM log
WHERE dataset_id = $1 AND kind = 'configure'
ORDER BY seq, observation_id;

-- name: find_change_seq
-- An instant in µs later than everything in the log.
SELECT greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                coalesce((SELECT max(seq) FROM log WHERE dataset_id = $1), 0) + 1);

-- name: put_unattached
-- Append an entry that belongs to no profile: a change of configuration or an erasure.
-- $2: seq
-- $3: observation
-- $4: kind
-- $5: version of the configuration
-- $6: content
INSERT INTO log (dataset_id, seq, observation_id, kind, config_version, content)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb);

-- name: put_verifications
-- Append what users verified in another dataset; the entries belong to no profile.
-- $2: version of the configuration
-- $3: seqs
-- $4: observations
-- $5: contents
INSERT INTO log (dataset_id, seq, observation_id, kind, config_version, content)
SELECT $1, row.seq, row.observation_id, 'verification', $2, row.content::jsonb
FROM unnest($3::bigint[], $4::uuid[], $5::text[]) AS row (seq, observation_id, content);

-- name: find_verifications
-- What users verified in another dataset, and who verified some values, in whatever case.
-- $2: users
-- $3: values
-- Two look-ups by an index each, for each user and value (OFFSET 0); an entry may be found by both.
SELECT {entry_columns}
FROM unnest($2::text[]) AS sought (user_id)
CROSS JOIN LATERAL (
    SELECT * FROM log
    WHERE dataset_id = $1 AND kind = 'verification' AND content ->> 'user_id' = sought.user_id
    OFFSET 0
) AS recorded
UNION ALL
SELECT {entry_columns}
FROM unnest($3::text[]) AS sought (value)
CROSS JOIN LATERAL (
    SELECT * FROM log
    WHERE dataset_id = $1 AND kind = 'verification' AND lower(content ->> 'value') = lower(sought.value)
    OFFSET 0
) AS recorded;

-- name: append
-- Append observations to the log.
-- $2: seqs
-- $3: observations
-- $4: profiles that they are attached to
-- $5: kinds
-- $6: names
-- $7: versions of the configuration
-- $8: contents
-- $9: plans
-- $10: how they are replayed
-- $11: fragments; null: none
-- $12: when they made the person active, in µs; null: they did not
INSERT INTO log (dataset_id, seq, observation_id, profile_id, kind, name, config_version, content, plan,
                 replay, fragment_id, active_at)
SELECT $1, row.*
FROM unnest($2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::jsonb[],
            $9::jsonb[], $10::text[], $11::uuid[], $12::bigint[]) AS row;

-- name: append_one
-- Append one observation to the log; an array for each column takes half as long again.
-- $2: seq
-- $3: observation
-- $4: profile that it is attached to
-- $5: kind
-- $6: name
-- $7: version of the configuration
-- $8: content
-- $9: plan
-- $10: how it is replayed
-- $11: fragment; null: none
-- $12: when it made the person active, in µs; null: it did not
INSERT INTO log (dataset_id, seq, observation_id, profile_id, kind, name, config_version, content, plan,
                 replay, fragment_id, active_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: append_active
-- Append one observation to the log, and update the one profile of which only the activity has changed.
-- $2: seq
-- $3: observation
-- $4: profile that it is attached to
-- $5: kind
-- $6: name
-- $7: version of the configuration
-- $8: content
-- $9: plan
-- $10: how it is replayed
-- $11: fragment; null: none
-- $12: when it made the person active, in µs; null: it did not
-- $13: the profile
-- $14: its last activity
-- $15: its seq
-- $16: begin of its current visit
WITH appended AS (
    INSERT INTO log (dataset_id, seq, observation_id, profile_id, kind, name, config_version, content,
                     plan, replay, fragment_id, active_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
)
UPDATE profile SET active_at = $14, seq = $15, visit_at = $16
WHERE dataset_id = $1 AND profile_id = $13;

-- name: put_fragments
-- Record which fragments entries belong to.
-- $2: fragments
-- $3: seqs
-- $4: observations
-- $5: when they made the person active, in µs; null: they did not
UPDATE log SET fragment_id = row.fragment_id, active_at = row.active_at
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[])
     AS row (fragment_id, seq, observation_id, active_at)
WHERE log.dataset_id = $1 AND log.seq = row.seq AND log.observation_id = row.observation_id;

-- name: find_activity
-- When people were last active by an instant, as the log up to a seq has it.
-- $2: survivors
-- $3: instants, in the same order
-- $4: seq up to which entries are read
-- Reads, of each of their profiles, the last hundred entries recorded by the instant, and the first thousand
-- after it, which may have happened before. Both are the same whenever this is asked. The index holds only
-- entries of profiles.
SELECT sought.profile_id, max(entry.at) AS at
FROM unnest($2::uuid[], $3::bigint[]) AS sought (profile_id, instant)
CROSS JOIN LATERAL (
    SELECT profile_id FROM profile WHERE dataset_id = $1 AND profile_id = sought.profile_id
    UNION ALL
    SELECT profile_id FROM profile WHERE dataset_id = $1 AND survivor_id = sought.profile_id
) AS part
CROSS JOIN LATERAL (
    SELECT CASE WHEN kind IN ('event', 'write', 'sign_in', 'sign_out', 'consent')
                 AND coalesce((content ->> 'is_interactive')::boolean, true)
                THEN coalesce((content ->> 'occurred_at')::bigint, seq) END AS at
    FROM (
        (
            SELECT seq, kind, content FROM log
            WHERE dataset_id = $1 AND profile_id IS NOT NULL
              AND (profile_id, seq) >= (part.profile_id, 0)
              AND (profile_id, seq) < (part.profile_id, least(sought.instant + 1, $4))
            ORDER BY profile_id DESC, seq DESC
            LIMIT 100
        )
        UNION ALL
        (
            SELECT seq, kind, content FROM log
            WHERE dataset_id = $1 AND profile_id IS NOT NULL
              AND (profile_id, seq) > (part.profile_id, sought.instant)
              AND (profile_id, seq) < (part.profile_id, $4)
            ORDER BY profile_id, seq
            LIMIT 1000
        )
    ) AS recorded
) AS entry
WHERE entry.at <= sought.instant
GROUP BY sought.profile_id, sought.instant;

-- name: list_erasures
-- The erasures before a seq, the last one first.
-- $2: seq
-- $3: how many at most
SELECT seq, observation_id, content::text
FROM log
WHERE dataset_id = $1 AND kind = 'erase' AND seq < $2
ORDER BY seq DESC
LIMIT $3;

-- name: find_erasure
-- One erasure.
-- $2: observation, which is the id of the receipt
SELECT seq, observation_id, content::text
FROM log
WHERE dataset_id = $1 AND kind = 'erase' AND observation_id = $2;

-- name: delete
-- Delete entries.
-- $2: seqs
-- $3: observations
DELETE FROM log USING unnest($2::bigint[], $3::uuid[]) AS entry (seq, observation_id)
WHERE log.dataset_id = $1 AND log.seq = entry.seq AND log.observation_id = entry.observation_id;

-- name: forget_detached
-- Remove browsers from the erasures that let them begin anew.
-- $2: browsers, as JSON
UPDATE log
SET content = jsonb_set(content, ARRAY['detached'], (
    SELECT coalesce(jsonb_agg(device ORDER BY number), '[]')
    FROM jsonb_array_elements(content -> 'detached') WITH ORDINALITY AS item (device, number)
    WHERE device <> ALL ($2::text[]::jsonb[])
))
WHERE dataset_id = $1 AND kind = 'erase' AND content ? 'detached'
  AND EXISTS (SELECT FROM jsonb_array_elements(content -> 'detached') AS device
              WHERE device = ANY ($2::text[]::jsonb[]));

-- name: redact
-- Replace entries by what may stay of them; from then on their plans are applied as recorded.
-- $2: seqs
-- $3: observations
-- $4: profiles
-- $5: names of events
-- $6: contents
-- $7: plans
-- $8: whether the content lost anything
UPDATE log
SET profile_id = row.profile_id, name = row.name, content = row.content::jsonb, plan = row.plan::jsonb,
    content_redacted = row.content_redacted, replay = 'apply'
FROM unnest($2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::boolean[])
     AS row (seq, observation_id, profile_id, name, content, plan, content_redacted)
WHERE log.dataset_id = $1 AND log.seq = row.seq AND log.observation_id = row.observation_id;

-- name: freeze_entries
-- Apply entries as recorded from now on.
-- $2: seqs
-- $3: observation ids
UPDATE log SET replay = 'apply'
FROM unnest($2::bigint[], $3::uuid[]) AS row (seq, observation_id)
WHERE log.dataset_id = $1 AND log.seq = row.seq AND log.observation_id = row.observation_id;

-- name: freeze_refused
-- Apply as recorded, from now on, entries of other people that were kept apart from one of these profiles.
-- $2: profile ids
WITH person AS (
    SELECT DISTINCT coalesce(kept_apart.survivor_id, kept_apart.profile_id) AS survivor_id
    FROM refusal JOIN profile AS kept_apart USING (dataset_id, profile_id)
    WHERE refusal.dataset_id = $1 AND refusal.other_id = ANY ($2::uuid[])
      AND refusal.profile_id <> ALL ($2::uuid[])
)
UPDATE log SET replay = 'apply'
WHERE dataset_id = $1
  AND profile_id IN (SELECT survivor_id FROM person
                     UNION ALL
                     SELECT profile.profile_id FROM person JOIN profile USING (survivor_id)
                     WHERE dataset_id = $1)
  AND EXISTS (SELECT FROM jsonb_array_elements(plan -> 'refusals') AS refused
              WHERE (refused ->> 'other_id')::uuid = ANY ($2::uuid[]));

-- name: list_changing
-- The first entries of profiles or fragments, in order; those that may change values or choices with
-- their content.
-- The repository replaces the mark by the entries of profiles or of fragments.
-- $2: ids
-- $3: rows at most
-- OFFSET 0 keeps it one look-up by an index for each entry.
SELECT scanned.seq, recorded.*
FROM (
    SELECT entry.seq, entry.observation_id
    FROM unnest($2::uuid[]) AS part (id)
    CROSS JOIN LATERAL (
        SELECT seq, observation_id /* from the entries of part.id */
        ORDER BY seq
        LIMIT $3
    ) AS entry
    ORDER BY entry.seq, entry.observation_id
    LIMIT $3
) AS scanned
LEFT JOIN LATERAL (
    SELECT profile_id, kind, config_version, content::text, fragment_id, admitted_by
    FROM log
    WHERE dataset_id = $1 AND seq = scanned.seq AND observation_id = scanned.observation_id AND {changing}
    OFFSET 0
) AS recorded ON true
ORDER BY scanned.seq, scanned.observation_id;

-- name: find_claim_reports
-- The reports of claims of profiles that say something else than the one before, in order.
-- The repository replaces the mark by the entries of profiles or of fragments.
-- $2: ids
WITH report AS (
    SELECT seq, observation_id, profile_id, coalesce(content -> 'verified', '[]') AS verified,
           coalesce(content #> '{values,identity_attributes}', '{}') AS claims
    FROM log
    WHERE dataset_id = $1 AND /* entries by $2 */ AND kind IN ('sign_in', 'claims')
      AND (content ? 'verified' OR content #> '{values,identity_attributes}' IS NOT NULL)
), compared AS (
    SELECT *, lag(verified) OVER entry AS verified_before, lag(claims) OVER entry AS claims_before
    FROM report
    WINDOW entry AS (ORDER BY seq, observation_id)
)
SELECT seq, profile_id, verified, claims
FROM compared
WHERE verified IS DISTINCT FROM verified_before OR claims IS DISTINCT FROM claims_before
ORDER BY seq, observation_id;

-- name: freeze
-- Apply entries as recorded from now on.
-- $2: seqs
-- $3: profiles
UPDATE log SET replay = 'apply'
FROM unnest($2::bigint[], $3::uuid[]) AS row (seq, profile_id)
WHERE log.dataset_id = $1 AND log.seq = row.seq AND log.profile_id = row.profile_id;

-- name: find_observation
-- An observation that was recorded at a seq.
-- $2: seq
SELECT observation_id FROM log WHERE dataset_id = $1 AND seq = $2 ORDER BY observation_id LIMIT 1;
