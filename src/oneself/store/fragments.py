"""Parts of SQL that several statements share. The columns of `profile` are listed here and nowhere else in
SQL.

Invariants: text only; no value from outside ever reaches a fragment.
"""

#: Every column of `profile` but the dataset, in the order of `rows.profile_columns`: name and type.
PROFILE_COLUMNS = (
    ("profile_id", "uuid"),
    ("survivor_id", "uuid"),
    ("reason", "text"),
    ("primary_id", "text"),
    ("user_id", "text"),
    ("created_at", "timestamptz"),
    ("updated_at", "timestamptz"),
    ("active_at", "timestamptz"),
    ("seq", "bigint"),
    ("erased", "boolean"),
    ("record_values", "jsonb"),
    ("provenance", "jsonb"),
    ("identities", "jsonb"),
    ("consents", "jsonb"),
    ("visit_at", "timestamptz"),
    ("aliases", "jsonb"),
    ("visits", "jsonb"),
    ("first_active_at", "timestamptz"),
    ("objects", "jsonb"),
)
#: Every column of `fragment` but the dataset, in the order of the rows that are written: name and type.
FRAGMENT_COLUMNS = (
    ("fragment_id", "uuid"),
    ("believed_id", "uuid"),
    ("origin", "text"),
    ("owner_id", "text"),
    ("reported_id", "text"),
    ("exact_key", "bytea"),
    ("state", "text"),
    ("own_id", "uuid"),
    ("proven_id", "uuid"),
    ("record_values", "jsonb"),
    ("updated_at", "bigint"),
    ("created_at", "bigint"),
    ("seq", "bigint"),
)
#: What is read of a fragment that only acts.
_ACTING = ("fragment_id", "owner_id", "reported_id", "updated_at", "seq")
#: What an absorbed profile has brought into its survivor already.
_MERGED_INTO_SURVIVOR = frozenset({"record_values", "provenance", "identities", "consents"})


_UNIFIED = (
    "unified.view AS unified_view, unified.profile_id AS unified_id, unified.user_id AS unified_user_id, "
    "unified.created_at AS unified_created_at, unified.updated_at AS unified_updated_at, "
    "unified.record_values::text AS unified_values, unified.provenance::text AS unified_provenance, "
    "unified.choices::text AS unified_choices, unified.head_id AS unified_head_id, "
)


#: The live claims of identifiers ($2: namespaces, $3: values), then the profiles whose ids begin like the
#: primary ids of tokens ($4: smallest, $5: largest ids), each with the survivor of its profile. OFFSET 0
#: keeps the order of the joins: one index look-up per identifier, whatever the statistics say.
_LIVE_CLAIMS = """
SELECT claim.namespace, claim.value, claim.profile_id, claim.seq, claim.trust, claim.at,
       claim.since, survivor.profile_id AS survivor_id, survivor.seq AS survivor_seq
FROM unnest($2::text[], $3::text[]) AS sought (namespace, value)
CROSS JOIN LATERAL (
    SELECT * FROM claim
    WHERE dataset_id = $1 AND namespace = sought.namespace AND value = sought.value AND until_seq IS NULL
    OFFSET 0
) AS claim
CROSS JOIN LATERAL (
    SELECT coalesce(survivor_id, profile_id) AS profile_id,
           CASE WHEN survivor_id IS NULL THEN seq
                ELSE (SELECT seq FROM profile WHERE dataset_id = $1 AND profile_id = pointer.survivor_id)
           END AS seq
    FROM profile AS pointer
    WHERE dataset_id = $1 AND profile_id = claim.profile_id
    OFFSET 0
) AS survivor
UNION ALL
SELECT NULL, NULL, known.profile_id, NULL, NULL, NULL, NULL, survivor.profile_id, survivor.seq
FROM unnest($4::uuid[], $5::uuid[]) AS sought (first_id, last_id)
CROSS JOIN LATERAL (
    SELECT profile_id, survivor_id FROM profile
    WHERE dataset_id = $1 AND profile_id BETWEEN sought.first_id AND sought.last_id
    OFFSET 0
) AS known
CROSS JOIN LATERAL (
    SELECT profile_id, seq FROM profile
    WHERE dataset_id = $1 AND profile_id = coalesce(known.survivor_id, known.profile_id)
    OFFSET 0
) AS survivor
"""


#: The current instant in µs, the transaction's id and the version of the configuration.
_CLOCK = """
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now,
       pg_current_xact_id()::text AS transaction_id,
       coalesce((SELECT version FROM config WHERE dataset_id = $1), 0) AS config_version,
       EXISTS (SELECT FROM separation WHERE dataset_id = $1) AS has_separations,
       EXISTS (SELECT FROM identifier_transfer WHERE dataset_id = $1) AS has_transfers
"""


def _selected(name: str, kind: str) -> str:
    return f"{name}::text" if kind == "jsonb" else name


def _inserted(name: str, kind: str) -> str:
    return f"row.{name}::jsonb" if kind == "jsonb" else f"row.{name}"


def _array(number: int, kind: str) -> str:
    return f"${number}::{'text' if kind == 'jsonb' else kind}[]"


def _element(number: int, name: str, kind: str) -> str:
    """The element of an array parameter that belongs to a fragment; the ids in $2 are sorted."""
    element = f"({_array(number, kind)})[width_bucket(fragment_id, $2::uuid[])]"
    return f"{name} = {element}::jsonb" if kind == "jsonb" else f"{name} = {element}"


def _missing(name: str, kind: str) -> str:
    return f"NULL::{'text' if kind == 'jsonb' else kind} AS {name}"


def _of_claim(name: str) -> str:
    columns = {"profile_id": "claim.profile_id", "survivor_id": "pointer.survivor_id", "seq": "claim.seq"}
    return columns.get(name, "NULL")


FRAGMENTS = {
    # To read a profile: see rows.read_profile.
    "profile_columns": ", ".join(_selected(*column) for column in PROFILE_COLUMNS),
    # The same, without what an absorbed profile has given to its survivor.
    "absorbed_profile_columns": ", ".join(
        f"'{{}}' AS {name}" if name in _MERGED_INTO_SURVIVOR else _selected(name, kind)
        for name, kind in PROFILE_COLUMNS
    ),
    # A claim in the same columns, for a UNION with profiles.
    "claim_as_profile": ", ".join(_of_claim(name) for name, _ in PROFILE_COLUMNS),
    "clock": _CLOCK,
    "live_claims": _LIVE_CLAIMS,
    # To write profiles: names, the values of `row`, one array per column from $2 on, and the assignments of a
    # conflict.
    "profile_names": ", ".join(name for name, _ in PROFILE_COLUMNS),
    "profile_values": ", ".join(_inserted(*column) for column in PROFILE_COLUMNS),
    "profile_arrays": ", ".join(_array(number, kind) for number, (_, kind) in enumerate(PROFILE_COLUMNS, 2)),
    "profile_assignments": ", ".join(f"{name} = excluded.{name}" for name, _ in PROFILE_COLUMNS[1:]),
    # The same for fragments; `xmin` is the version of the row.
    "fragment_columns": "fragment.xmin::text AS read_version, "
    + ", ".join(_selected(f"fragment.{name}", kind) for name, kind in FRAGMENT_COLUMNS),
    # Of fragments: their joins that hang on no identifier, and whether a person keeps them apart from others.
    "decided_columns": """(
    SELECT jsonb_agg(jsonb_build_object(
        'one', one_id, 'other', other_id, 'level', level, 'since', since, 'reason', reason
    ))::text
    FROM (
        SELECT * FROM person_join WHERE dataset_id = $1 AND one_id = fragment.fragment_id
        UNION ALL
        SELECT * FROM person_join WHERE dataset_id = $1 AND other_id = fragment.fragment_id
    ) AS tied
) AS person_joins, EXISTS (
    SELECT FROM separation WHERE dataset_id = $1 AND fragment_id = fragment.fragment_id
) AS is_kept_apart""",
    # What is read of fragments that are only locked, as `locked`: their users and the last observation.
    "acting_columns": ", ".join(_ACTING),
    "locked_fragments": """(
    SELECT array_agg(fragment_id) AS locked_ids, array_agg(coalesce(owner_id, reported_id)) AS locked_users,
           max(greatest(seq, updated_at)) AS locked_seq
    FROM locked
)""",
    # The same columns for a UNION, of no fragment: for its first part, and for the others.
    "missing_fragment_columns": ", ".join(
        ("NULL AS read_version", *(_missing(*column) for column in FRAGMENT_COLUMNS))
    ),
    "no_fragment_columns": ", ".join(["NULL"] * (1 + len(FRAGMENT_COLUMNS))),
    "fragment_names": ", ".join(name for name, _ in FRAGMENT_COLUMNS),
    "fragment_values": ", ".join(_inserted(*column) for column in FRAGMENT_COLUMNS),
    "fragment_arrays": ", ".join(
        _array(number, kind) for number, (_, kind) in enumerate(FRAGMENT_COLUMNS, 2)
    ),
    "fragment_assignments": ", ".join(
        _element(number, *column) for number, column in enumerate(FRAGMENT_COLUMNS[1:], 3)
    ),
    # To read what several fragments amount to in a view; the same without what it absorbed.
    "unified_columns": _UNIFIED + "unified.absorbed::text AS unified_absorbed",
    "unified_columns_alone": _UNIFIED + "'[]' AS unified_absorbed",
    # The profiles of the view `proven` in the columns of `profile` that a list reads, with a list of the
    # consent choices that hold, and the ids and reasons of what one of them absorbed. `provenance` has the
    # sources of values; of a single fragment, `writes` has them.
    "proven_profiles": """(
    SELECT fragment.fragment_id AS profile_id, fragment.created_at, unified.absorbed,
           coalesce(unified.user_id, fragment.owner_id, fragment.reported_id) AS user_id,
           coalesce(unified.updated_at, fragment.updated_at) AS updated_at,
           coalesce(unified.record_values, fragment.record_values) AS record_values,
           unified.provenance AS provenance,
           CASE WHEN unified.profile_id IS NULL
                THEN coalesce(fragment.state::jsonb -> 'writes', '[]') END AS writes,
           coalesce(
               jsonb_path_query_array(unified.choices, '$.*.choice'), fragment.state::jsonb -> 'choices', '[]'
           ) AS consents
    FROM fragment
    LEFT JOIN view_profile AS unified
      ON unified.dataset_id = $1 AND unified.view = 'proven' AND unified.profile_id = fragment.fragment_id
    WHERE fragment.dataset_id = $1 AND fragment.proven_id = fragment.fragment_id
)""",
    "absorbed_parts": """(
           SELECT jsonb_agg(
               jsonb_build_array(part.value -> 'head', part.value -> 'reason') ORDER BY part.number
           )
           FROM jsonb_array_elements(profile.absorbed) WITH ORDINALITY AS part (value, number)
       )""",
    # Whether an entry of the log may change values or choices of a profile.
    "changing": """(
        profile_id IS NOT NULL AND fragment_id IS NOT NULL AND NOT content_redacted
        AND kind IN ('event', 'write', 'sign_in', 'claims', 'consent')
        AND (content ?| ARRAY['values', 'choices', 'consents']
             OR content @? '$.identifiers[*] ? (@.namespace != "tracker" && @.namespace != "anonymous_id")')
    )""",
    # Of an entry of the log, without what the fold adds to it.
    "copied_columns": "dataset_id, seq, observation_id, profile_id, kind, name, config_version, content, "
    "plan, content_redacted, replay, admitted_by",
    # To read an entry of the log: see tables.log.
    "entry_columns": "seq, observation_id, profile_id, kind, config_version, content::text, plan::text, "
    "content_redacted, replay, admitted_by",
}
