-- The schema after all migrations, for reading; nothing runs this file. `make reference` generates it from
-- store/sql/migrations, which contains the comments. A test fails if the two differ.

CREATE TABLE account (
    org_id integer NOT NULL,
    user_id uuid NOT NULL,
    username text NOT NULL,
    username_key text NOT NULL,
    password_hash text NOT NULL,
    claims jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    verified jsonb NOT NULL DEFAULT '{}'::jsonb,
    used_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT account_pkey PRIMARY KEY (org_id, user_id)
);
CREATE INDEX account_by_username ON account USING btree (org_id, username_key, user_id);
CREATE INDEX account_of_sign_in ON account USING btree (org_id, username_key, ((verified ? 'emailaddress'::text)) DESC, created_at DESC, user_id);
CREATE INDEX account_unproven ON account USING btree (used_at) WHERE (NOT (verified ? 'emailaddress'::text));
CREATE INDEX account_verified_mobile ON account USING btree (org_id, regexp_replace((claims ->> 'mobile'::text), '[^0-9]'::text, ''::text, 'g'::text)) WHERE (verified ? 'mobile'::text);
CREATE UNIQUE INDEX account_verified_once ON account USING btree (org_id, username_key) WHERE (verified ? 'emailaddress'::text);

CREATE TABLE account_link (
    org_id integer NOT NULL,
    link_digest bytea NOT NULL,
    purpose text NOT NULL,
    user_id uuid NOT NULL,
    address text NOT NULL,
    facts jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT account_link_pkey PRIMARY KEY (org_id, link_digest)
);
CREATE INDEX account_link_by_account ON account_link USING btree (org_id, user_id);
CREATE INDEX account_link_by_expiry ON account_link USING btree (expires_at);

CREATE TABLE application (
    org_id integer NOT NULL,
    client_id text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    secret_hash text,
    redirect_uris text[] NOT NULL DEFAULT '{}'::text[],
    post_logout_redirect_uris text[] NOT NULL DEFAULT '{}'::text[],
    permissions text[] NOT NULL DEFAULT '{}'::text[],
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT application_pkey PRIMARY KEY (org_id, client_id),
    CONSTRAINT application_kind_known CHECK ((kind = ANY (ARRAY['machine'::text, 'web'::text, 'browser'::text]))),
    CONSTRAINT application_secret_by_kind CHECK (((kind = 'browser'::text) = (secret_hash IS NULL)))
);

CREATE TABLE attempt_count (
    org_id integer NOT NULL,
    subject bytea NOT NULL,
    attempts integer NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT attempt_count_pkey PRIMARY KEY (org_id, subject)
);
CREATE INDEX attempt_count_by_expiry ON attempt_count USING btree (expires_at);

CREATE TABLE audit_entry (
    org_id integer NOT NULL,
    seq bigint NOT NULL,
    entry_id uuid NOT NULL,
    kind text NOT NULL,
    content jsonb NOT NULL,
    CONSTRAINT audit_entry_key PRIMARY KEY (org_id, seq, entry_id)
);

CREATE TABLE authorization_code (
    org_id integer NOT NULL,
    code_digest bytea NOT NULL,
    grant_id uuid NOT NULL,
    redirect_uri text,
    code_challenge text,
    code_challenge_method text,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    trackers text[] NOT NULL DEFAULT '{}'::text[],
    CONSTRAINT authorization_code_pkey PRIMARY KEY (org_id, code_digest)
);
CREATE INDEX authorization_code_by_expiry ON authorization_code USING btree (expires_at);
CREATE INDEX authorization_code_by_grant ON authorization_code USING btree (org_id, grant_id);

CREATE TABLE broker (
    broker text NOT NULL,
    holder uuid NOT NULL,
    leased_until timestamp with time zone NOT NULL,
    failing_since timestamp with time zone,
    failure text,
    CONSTRAINT broker_pkey PRIMARY KEY (broker)
);

CREATE TABLE broker_position (
    dataset_id integer NOT NULL,
    view text NOT NULL,
    recorded_at bigint NOT NULL,
    observation_id uuid NOT NULL,
    number integer NOT NULL,
    lost_at timestamp with time zone,
    CONSTRAINT broker_position_pkey PRIMARY KEY (dataset_id, view)
);

CREATE TABLE browser (
    dataset_id integer NOT NULL,
    namespace text NOT NULL,
    value text NOT NULL,
    present uuid[] NOT NULL,
    current uuid,
    every uuid[] NOT NULL,
    reported_user text,
    replaces text,
    CONSTRAINT browser_key PRIMARY KEY (dataset_id, namespace, value)
);
CREATE INDEX browser_by_replaced ON browser USING btree (dataset_id, replaces) WHERE (replaces IS NOT NULL);

CREATE TABLE browser_session (
    org_id integer NOT NULL,
    session_digest bytea NOT NULL,
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    auth_time timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT browser_session_pkey PRIMARY KEY (org_id, session_digest)
);
CREATE INDEX browser_session_by_account ON browser_session USING btree (org_id, user_id);
CREATE INDEX browser_session_by_expiry ON browser_session USING btree (expires_at);

CREATE TABLE claim (
    dataset_id integer NOT NULL,
    namespace text NOT NULL,
    value text NOT NULL,
    seq bigint NOT NULL,
    profile_id uuid NOT NULL,
    trust text NOT NULL,
    until_seq bigint,
    at bigint NOT NULL,
    since bigint NOT NULL,
    CONSTRAINT claim_key PRIMARY KEY (dataset_id, namespace, value, seq, profile_id)
);
CREATE INDEX claim_by_profile ON claim USING btree (dataset_id, profile_id);

CREATE TABLE claim_sync (
    org_id integer NOT NULL,
    requested bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    next_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone,
    succeeded_at timestamp with time zone,
    failed_at timestamp with time zone,
    failure text,
    CONSTRAINT claim_sync_pkey PRIMARY KEY (org_id)
);

CREATE TABLE code_webhook (
    org_id integer NOT NULL,
    url text NOT NULL,
    secret_encrypted bytea NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT code_webhook_pkey PRIMARY KEY (org_id)
);

CREATE TABLE config (
    dataset_id integer NOT NULL,
    version bigint NOT NULL,
    seq bigint NOT NULL,
    document jsonb NOT NULL,
    CONSTRAINT config_key PRIMARY KEY (dataset_id)
);

CREATE TABLE console_code (
    code_digest bytea NOT NULL,
    console_user_id uuid NOT NULL,
    code_challenge text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT console_code_pkey PRIMARY KEY (code_digest)
);
CREATE INDEX console_code_by_expiry ON console_code USING btree (expires_at);
CREATE INDEX console_code_by_user ON console_code USING btree (console_user_id);

CREATE TABLE console_form (
    form_digest bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT console_form_pkey PRIMARY KEY (form_digest)
);
CREATE INDEX console_form_by_expiry ON console_form USING btree (expires_at);

CREATE TABLE console_role (
    console_user_id uuid NOT NULL,
    org_id integer NOT NULL,
    role text NOT NULL,
    CONSTRAINT console_role_pkey PRIMARY KEY (console_user_id, org_id),
    CONSTRAINT console_role_name CHECK ((role = ANY (ARRAY['administrator'::text, 'analyst'::text, 'privacy_officer'::text])))
);
CREATE INDEX console_role_by_organisation ON console_role USING btree (org_id);

CREATE TABLE console_session (
    session_digest bytea NOT NULL,
    session_id uuid NOT NULL,
    console_user_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT console_session_pkey PRIMARY KEY (session_digest)
);
CREATE INDEX console_session_by_expiry ON console_session USING btree (expires_at);
CREATE INDEX console_session_by_user ON console_session USING btree (console_user_id);

CREATE TABLE console_user (
    console_user_id uuid NOT NULL,
    username text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT console_user_pkey PRIMARY KEY (console_user_id),
    CONSTRAINT console_user_username_key UNIQUE (username)
);

CREATE TABLE dataset (
    dataset_id integer GENERATED ALWAYS AS IDENTITY,
    org_id integer NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT dataset_pkey PRIMARY KEY (dataset_id),
    CONSTRAINT dataset_name_key UNIQUE (org_id, name)
);

CREATE TABLE delivery (
    org_id integer NOT NULL,
    delivery_id uuid NOT NULL,
    kind text NOT NULL,
    recipient text NOT NULL,
    user_id uuid,
    facts jsonb NOT NULL,
    content bytea,
    created_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    failure text,
    delivered_at timestamp with time zone,
    channel text NOT NULL,
    CONSTRAINT delivery_pkey PRIMARY KEY (org_id, delivery_id)
);
CREATE INDEX delivery_by_account ON delivery USING btree (org_id, user_id);
CREATE INDEX delivery_by_expiry ON delivery USING btree (expires_at);
CREATE INDEX delivery_delivered ON delivery USING btree (org_id, created_at) WHERE (delivered_at IS NOT NULL);
CREATE INDEX delivery_due ON delivery USING btree (due_at) WHERE (delivered_at IS NULL);

CREATE TABLE fragment (
    dataset_id integer NOT NULL,
    fragment_id uuid NOT NULL,
    believed_id uuid NOT NULL,
    origin text NOT NULL,
    owner_id text,
    reported_id text,
    exact_key bytea,
    state text NOT NULL,
    own_id uuid NOT NULL,
    proven_id uuid NOT NULL,
    record_values jsonb NOT NULL,
    updated_at bigint NOT NULL,
    created_at bigint NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT fragment_key PRIMARY KEY (dataset_id, fragment_id)
) WITH (fillfactor=80);
CREATE INDEX fragment_by_believed ON fragment USING btree (dataset_id, believed_id) WHERE (believed_id <> fragment_id);
CREATE INDEX fragment_by_own ON fragment USING btree (dataset_id, own_id) WHERE (own_id <> fragment_id);
CREATE INDEX fragment_by_owner ON fragment USING btree (dataset_id, owner_id, fragment_id) WHERE (owner_id IS NOT NULL);
CREATE INDEX fragment_by_proven ON fragment USING btree (dataset_id, proven_id, fragment_id) WHERE (proven_id <> fragment_id);
CREATE INDEX fragment_by_reported_user ON fragment USING btree (dataset_id, reported_id, fragment_id) WHERE (reported_id IS NOT NULL);
CREATE UNIQUE INDEX fragment_exact ON fragment USING btree (dataset_id, exact_key) WHERE (exact_key IS NOT NULL);
CREATE INDEX fragment_listed ON fragment USING btree (dataset_id, created_at, fragment_id) WHERE (proven_id = fragment_id);
CREATE UNIQUE INDEX fragment_of_user ON fragment USING btree (dataset_id, owner_id) WHERE ((origin = 'user'::text) AND (owner_id IS NOT NULL));

CREATE TABLE fragment_claim (
    dataset_id integer NOT NULL,
    namespace text NOT NULL,
    value text NOT NULL,
    tenure integer NOT NULL,
    fragment_id uuid NOT NULL,
    level smallint NOT NULL,
    since bigint NOT NULL,
    CONSTRAINT fragment_claim_key PRIMARY KEY (dataset_id, namespace, value, tenure, fragment_id)
);
CREATE INDEX fragment_claim_by_age ON fragment_claim USING btree (dataset_id, namespace, value, tenure, since, fragment_id) WHERE (level > 0);
CREATE INDEX fragment_claim_of_fragment ON fragment_claim USING btree (dataset_id, fragment_id);
CREATE INDEX fragment_claim_proven ON fragment_claim USING btree (dataset_id, namespace, lower(value)) WHERE (level > 0);

CREATE TABLE idempotency_record (
    dataset_id integer NOT NULL,
    key text NOT NULL,
    seq bigint NOT NULL,
    profile_id uuid NOT NULL,
    fingerprint text NOT NULL,
    response bytea,
    expires_at timestamp with time zone,
    CONSTRAINT idempotency_record_key PRIMARY KEY (dataset_id, key)
);
CREATE INDEX idempotency_record_by_expiry ON idempotency_record USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX idempotency_record_by_profile ON idempotency_record USING btree (dataset_id, profile_id);

CREATE TABLE identifier_transfer (
    dataset_id integer NOT NULL,
    namespace text NOT NULL,
    value text NOT NULL,
    transferred_at bigint[] NOT NULL,
    CONSTRAINT identifier_transfer_key PRIMARY KEY (dataset_id, namespace, value)
);

CREATE TABLE identity_server (
    org_id integer NOT NULL,
    url text NOT NULL,
    client_id text NOT NULL,
    grant_type text NOT NULL,
    sync_username text,
    secrets_sealed bytea NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT identity_server_pkey PRIMARY KEY (org_id),
    CONSTRAINT identity_server_grant_known CHECK ((grant_type = ANY (ARRAY['client_credentials'::text, 'system_app_grant'::text])))
);

CREATE TABLE issuer_claims (
    dataset_id integer NOT NULL,
    user_id text NOT NULL,
    issued_at bigint NOT NULL,
    digests jsonb NOT NULL,
    CONSTRAINT issuer_claims_key PRIMARY KEY (dataset_id, user_id)
);

CREATE TABLE join_review (
    dataset_id integer NOT NULL,
    seq bigint NOT NULL,
    after_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'::uuid,
    CONSTRAINT join_review_key PRIMARY KEY (dataset_id)
);

CREATE TABLE log (
    dataset_id integer NOT NULL,
    seq bigint NOT NULL,
    observation_id uuid NOT NULL,
    profile_id uuid,
    kind text NOT NULL,
    name text,
    config_version bigint NOT NULL,
    content jsonb NOT NULL,
    plan jsonb,
    content_redacted boolean NOT NULL DEFAULT false,
    replay text NOT NULL DEFAULT 'judge'::text,
    fragment_id uuid,
    active_at bigint,
    admitted_by bigint[],
    CONSTRAINT log_key PRIMARY KEY (dataset_id, seq, observation_id),
    CONSTRAINT log_replay_known CHECK ((replay = ANY (ARRAY['judge'::text, 'apply'::text])))
);
CREATE INDEX log_by_fragment ON log USING btree (dataset_id, fragment_id, seq) WHERE ((fragment_id IS NOT NULL) AND (fragment_id IS DISTINCT FROM profile_id));
CREATE INDEX log_by_profile ON log USING btree (dataset_id, profile_id, seq) WHERE (profile_id IS NOT NULL);
CREATE INDEX log_by_rare_kind ON log USING btree (dataset_id, kind, seq DESC) WHERE (kind = ANY (ARRAY['configure'::text, 'erase'::text]));
CREATE INDEX log_of_configuration ON log USING btree (dataset_id, seq) WHERE (kind = 'configure'::text);
CREATE INDEX log_of_decisions ON log USING btree (dataset_id, kind, seq DESC) WHERE (kind = ANY (ARRAY['split'::text, 'merge'::text]));
CREATE INDEX log_of_dropped ON log USING btree (dataset_id, seq, observation_id) WHERE (plan ? 'dropped'::text);
CREATE INDEX log_of_named_fragments ON log USING gin (((content -> 'fragment_ids'::text))) WHERE (kind = ANY (ARRAY['match'::text, 'review'::text]));
CREATE INDEX log_of_parted_fragments ON log USING gin (((content -> 'fragment_ids'::text))) WHERE (kind = ANY (ARRAY['split'::text, 'merge'::text]));
CREATE INDEX log_of_unread ON log USING btree (dataset_id, profile_id) WHERE ((admitted_by IS NOT NULL) AND (plan ? 'dropped'::text));
CREATE INDEX log_of_verifications ON log USING btree (dataset_id, seq DESC) WHERE ((kind = 'claims'::text) AND (name = 'verification'::text));
CREATE INDEX log_of_verified_users ON log USING btree (dataset_id, ((content ->> 'user_id'::text))) WHERE (kind = 'verification'::text);
CREATE INDEX log_of_verified_values ON log USING btree (dataset_id, lower((content ->> 'value'::text))) WHERE (kind = 'verification'::text);

CREATE TABLE merge (
    dataset_id integer NOT NULL,
    absorbed_id uuid NOT NULL,
    seq bigint NOT NULL,
    survivor_id uuid NOT NULL,
    reason text NOT NULL,
    namespace text,
    value text,
    observation_id uuid NOT NULL,
    CONSTRAINT merge_key PRIMARY KEY (dataset_id, absorbed_id, seq)
);
CREATE INDEX merge_by_survivor ON merge USING btree (dataset_id, survivor_id);

CREATE TABLE mobile_code (
    org_id integer NOT NULL,
    user_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    number text NOT NULL,
    code_digest bytea,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    used_at timestamp with time zone,
    CONSTRAINT mobile_code_pkey PRIMARY KEY (org_id, user_id)
);
CREATE INDEX mobile_code_by_expiry ON mobile_code USING btree (expires_at);
CREATE INDEX mobile_code_by_number ON mobile_code USING btree (org_id, number);

CREATE TABLE oauth_grant (
    org_id integer NOT NULL,
    grant_id uuid NOT NULL,
    client_id text NOT NULL,
    user_id uuid NOT NULL,
    session_id uuid,
    scope text NOT NULL,
    nonce text,
    auth_time timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT oauth_grant_pkey PRIMARY KEY (org_id, grant_id)
);
CREATE INDEX oauth_grant_by_account ON oauth_grant USING btree (org_id, user_id);
CREATE INDEX oauth_grant_by_application ON oauth_grant USING btree (org_id, client_id);
CREATE INDEX oauth_grant_by_time ON oauth_grant USING btree (created_at);

CREATE TABLE organisation (
    org_id integer GENERATED ALWAYS AS IDENTITY,
    handle text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT organisation_pkey PRIMARY KEY (org_id),
    CONSTRAINT organisation_handle_form CHECK ((handle ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text)),
    CONSTRAINT organisation_handle_key UNIQUE (handle)
);

CREATE TABLE pending_rebuild (
    dataset_id integer NOT NULL,
    CONSTRAINT pending_rebuild_pkey PRIMARY KEY (dataset_id)
);

CREATE TABLE person_join (
    dataset_id integer NOT NULL,
    one_id uuid NOT NULL,
    other_id uuid NOT NULL,
    level smallint NOT NULL,
    since bigint NOT NULL,
    reason text NOT NULL,
    CONSTRAINT person_join_key PRIMARY KEY (dataset_id, one_id, other_id, since, reason)
);
CREATE INDEX person_join_by_other ON person_join USING btree (dataset_id, other_id);

CREATE TABLE profile (
    dataset_id integer NOT NULL,
    profile_id uuid NOT NULL,
    survivor_id uuid,
    reason text,
    primary_id text NOT NULL,
    user_id text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    active_at timestamp with time zone NOT NULL,
    seq bigint NOT NULL,
    record_values jsonb NOT NULL,
    provenance jsonb NOT NULL,
    identities jsonb NOT NULL,
    consents jsonb NOT NULL,
    erased boolean NOT NULL DEFAULT false,
    visit_at timestamp with time zone NOT NULL,
    visits jsonb NOT NULL DEFAULT '[]'::jsonb,
    first_active_at timestamp with time zone NOT NULL,
    objects jsonb NOT NULL DEFAULT '{}'::jsonb,
    aliases jsonb NOT NULL DEFAULT '[]'::jsonb,
    CONSTRAINT profile_key PRIMARY KEY (dataset_id, profile_id),
    CONSTRAINT profile_absorbed_has_reason CHECK (((survivor_id IS NULL) = (reason IS NULL))),
    CONSTRAINT profile_not_its_own_survivor CHECK ((survivor_id <> profile_id))
) WITH (fillfactor=80);
CREATE INDEX profile_by_survivor ON profile USING btree (dataset_id, survivor_id, profile_id) WHERE (survivor_id IS NOT NULL);
CREATE INDEX profile_listing ON profile USING btree (dataset_id, created_at DESC, profile_id DESC) WHERE ((survivor_id IS NULL) AND (NOT erased));
CREATE UNIQUE INDEX profile_user_once ON profile USING btree (dataset_id, user_id) WHERE ((survivor_id IS NULL) AND (NOT erased) AND (user_id IS NOT NULL));

CREATE TABLE profile_change (
    dataset_id integer NOT NULL,
    recorded_at bigint NOT NULL,
    observation_id uuid NOT NULL,
    changes json NOT NULL,
    CONSTRAINT profile_change_pkey PRIMARY KEY (dataset_id, recorded_at, observation_id)
);

CREATE TABLE profile_change_floor (
    dataset_id integer NOT NULL,
    floor_at bigint NOT NULL,
    CONSTRAINT profile_change_floor_pkey PRIMARY KEY (dataset_id)
);

CREATE TABLE refresh_token (
    org_id integer NOT NULL,
    token_digest bytea NOT NULL,
    grant_id uuid NOT NULL,
    scope text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT refresh_token_pkey PRIMARY KEY (org_id, token_digest)
);
CREATE INDEX refresh_token_by_expiry ON refresh_token USING btree (expires_at);
CREATE INDEX refresh_token_by_grant ON refresh_token USING btree (org_id, grant_id);

CREATE TABLE refusal (
    dataset_id integer NOT NULL,
    code text NOT NULL,
    profile_id uuid NOT NULL,
    other_id uuid NOT NULL,
    namespace text NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    times bigint NOT NULL,
    CONSTRAINT refusal_key PRIMARY KEY (dataset_id, profile_id, other_id, code, namespace)
);
CREATE INDEX refusal_by_other ON refusal USING btree (dataset_id, other_id);
CREATE INDEX refusal_listing ON refusal USING btree (dataset_id, last_seq DESC);

CREATE TABLE reindex_job (
    dataset_id integer NOT NULL,
    job_id text NOT NULL,
    state text NOT NULL,
    after_id uuid,
    seen bigint NOT NULL DEFAULT 0,
    indexed bigint NOT NULL DEFAULT 0,
    merged bigint NOT NULL DEFAULT 0,
    total bigint,
    started_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone,
    after_since bigint,
    CONSTRAINT reindex_job_key PRIMARY KEY (dataset_id, job_id),
    CONSTRAINT reindex_job_state_known CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'cancelled'::text])))
);

CREATE TABLE revoked_token (
    org_id integer NOT NULL,
    token_id text NOT NULL,
    revoked_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT revoked_token_pkey PRIMARY KEY (org_id, token_id)
);
CREATE INDEX revoked_token_by_time ON revoked_token USING btree (revoked_at);

CREATE TABLE sample_dataset (
    dataset_id integer NOT NULL,
    org_id integer NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    total bigint NOT NULL DEFAULT 0,
    deleted bigint NOT NULL DEFAULT 0,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT sample_dataset_pkey PRIMARY KEY (dataset_id),
    CONSTRAINT sample_dataset_state_known CHECK ((state = ANY (ARRAY['adding'::text, 'complete'::text, 'removing'::text, 'removed'::text])))
);
CREATE UNIQUE INDEX sample_dataset_once ON sample_dataset USING btree (org_id) WHERE (state = ANY (ARRAY['adding'::text, 'complete'::text]));

CREATE TABLE secret_key_check (
    only_row boolean NOT NULL DEFAULT true,
    check_value bytea NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT secret_key_check_pkey PRIMARY KEY (only_row),
    CONSTRAINT secret_key_check_one CHECK (only_row)
);

CREATE TABLE separation (
    dataset_id integer NOT NULL,
    separation_id uuid NOT NULL,
    fragment_id uuid NOT NULL,
    side integer NOT NULL,
    since bigint NOT NULL,
    CONSTRAINT separation_key PRIMARY KEY (dataset_id, separation_id, fragment_id)
);
CREATE INDEX separation_by_fragment ON separation USING btree (dataset_id, fragment_id);

CREATE TABLE signing_key (
    org_id integer NOT NULL,
    key_id text NOT NULL,
    algorithm text NOT NULL,
    public_jwk jsonb NOT NULL,
    private_sealed bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT signing_key_pkey PRIMARY KEY (org_id, key_id)
);
CREATE UNIQUE INDEX signing_key_one_current ON signing_key USING btree (org_id) WHERE (retired_at IS NULL);

CREATE TABLE skipped_claim (
    dataset_id integer NOT NULL,
    path text NOT NULL,
    problem text NOT NULL,
    times bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    CONSTRAINT skipped_claim_pkey PRIMARY KEY (dataset_id, path, problem)
);

CREATE TABLE token_key (
    org_id integer NOT NULL,
    key_id integer NOT NULL,
    secret_sealed bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    active_from timestamp with time zone NOT NULL,
    CONSTRAINT token_key_pkey PRIMARY KEY (org_id, key_id),
    CONSTRAINT token_key_id_range CHECK (((key_id >= 1) AND (key_id <= 65535)))
);

CREATE TABLE tombstone (
    dataset_id integer NOT NULL,
    digest bytea NOT NULL,
    erased_at timestamp with time zone NOT NULL,
    CONSTRAINT tombstone_key PRIMARY KEY (dataset_id, digest)
);

CREATE TABLE trusted_issuer (
    org_id integer NOT NULL,
    issuer_id uuid NOT NULL,
    issuer text NOT NULL,
    audience text NOT NULL,
    jwks_uri text,
    permissions text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    verified_claims text NOT NULL DEFAULT 'as_stated'::text,
    CONSTRAINT trusted_issuer_pkey PRIMARY KEY (org_id, issuer_id),
    CONSTRAINT trusted_issuer_verified_claims_known CHECK ((verified_claims = ANY (ARRAY['as_stated'::text, 'always'::text, 'never'::text]))),
    CONSTRAINT trusted_issuer_once UNIQUE (org_id, issuer)
);

CREATE TABLE unreconciled_fragment (
    dataset_id integer NOT NULL,
    fragment_id uuid NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT unreconciled_fragment_pkey PRIMARY KEY (dataset_id, fragment_id)
);

CREATE TABLE verification_queue (
    dataset_id integer NOT NULL,
    "position" bigint GENERATED ALWAYS AS IDENTITY,
    change text NOT NULL,
    user_id text NOT NULL DEFAULT ''::text,
    path text[] NOT NULL DEFAULT '{}'::text[],
    value text NOT NULL DEFAULT ''::text,
    begins bigint NOT NULL DEFAULT 0,
    CONSTRAINT verification_queue_key PRIMARY KEY (dataset_id, "position"),
    CONSTRAINT verification_queue_change_known CHECK ((change = ANY (ARRAY['verified'::text, 'given_up'::text, 'forgotten'::text, 'compared'::text, 'all'::text])))
);
CREATE INDEX verification_queue_of_user ON verification_queue USING btree (dataset_id, user_id);

CREATE TABLE verified_claim (
    dataset_id integer NOT NULL,
    user_id text NOT NULL,
    path text[] NOT NULL,
    value text NOT NULL,
    since bigint NOT NULL,
    identifiers jsonb NOT NULL,
    CONSTRAINT verified_claim_key PRIMARY KEY (dataset_id, user_id, path)
);
CREATE INDEX verified_claim_by_value ON verified_claim USING btree (dataset_id, path, lower(value));

CREATE TABLE view_profile (
    dataset_id integer NOT NULL,
    view text NOT NULL,
    profile_id uuid NOT NULL,
    user_id text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    record_values jsonb NOT NULL,
    provenance jsonb NOT NULL,
    choices jsonb NOT NULL,
    absorbed jsonb NOT NULL,
    head_id uuid NOT NULL,
    CONSTRAINT view_profile_key PRIMARY KEY (dataset_id, view, profile_id)
) WITH (fillfactor=80);

CREATE TABLE webhook (
    org_id integer NOT NULL,
    webhook_id uuid NOT NULL,
    dataset_id integer NOT NULL,
    url text NOT NULL,
    view text NOT NULL,
    types text[] NOT NULL,
    secrets_encrypted bytea NOT NULL,
    is_active boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    recorded_at bigint NOT NULL,
    observation_id uuid NOT NULL,
    number integer NOT NULL,
    lost_at timestamp with time zone,
    leased_until timestamp with time zone NOT NULL,
    CONSTRAINT webhook_pkey PRIMARY KEY (org_id, webhook_id)
);
CREATE INDEX webhook_due ON webhook USING btree (leased_until) WHERE is_active;

CREATE TABLE webhook_delivery (
    org_id integer NOT NULL,
    webhook_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    recorded_at bigint NOT NULL,
    observation_id uuid NOT NULL,
    number integer NOT NULL,
    profile_ids uuid[] NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    failure text,
    CONSTRAINT webhook_delivery_pkey PRIMARY KEY (org_id, webhook_id, delivery_id)
);
CREATE INDEX webhook_delivery_finished ON webhook_delivery USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX webhook_delivery_in_order ON webhook_delivery USING btree (org_id, webhook_id, recorded_at, observation_id, number);
CREATE INDEX webhook_delivery_waiting ON webhook_delivery USING btree (org_id, webhook_id, recorded_at, observation_id, number) WHERE (state = 'waiting'::text);

CREATE TABLE wide_lock (
    dataset_id integer NOT NULL,
    lock_id uuid NOT NULL,
    CONSTRAINT wide_lock_key PRIMARY KEY (dataset_id)
);

CREATE UNLOGGED TABLE wide_lock_name (
    lock_id uuid NOT NULL,
    hash bigint NOT NULL,
    CONSTRAINT wide_lock_name_key PRIMARY KEY (lock_id, hash)
);

CREATE TABLE write_key (
    dataset_id integer NOT NULL,
    key_id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    allowed_origins text[] NOT NULL,
    digest bytea NOT NULL,
    hint text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT write_key_pkey PRIMARY KEY (dataset_id, key_id),
    CONSTRAINT write_key_kind_known CHECK ((kind = ANY (ARRAY['server'::text, 'browser'::text]))),
    CONSTRAINT write_key_origins_by_kind CHECK (((kind = 'browser'::text) OR (allowed_origins = '{}'::text[]))),
    CONSTRAINT write_key_digest_key UNIQUE (digest)
);

ALTER TABLE account ADD CONSTRAINT account_org_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id);
ALTER TABLE account_link ADD CONSTRAINT account_link_account_fkey FOREIGN KEY (org_id, user_id) REFERENCES account(org_id, user_id) ON DELETE CASCADE;
ALTER TABLE application ADD CONSTRAINT application_org_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id);
ALTER TABLE authorization_code ADD CONSTRAINT authorization_code_grant_fkey FOREIGN KEY (org_id, grant_id) REFERENCES oauth_grant(org_id, grant_id) ON DELETE CASCADE;
ALTER TABLE browser_session ADD CONSTRAINT browser_session_account_fkey FOREIGN KEY (org_id, user_id) REFERENCES account(org_id, user_id) ON DELETE CASCADE;
ALTER TABLE claim_sync ADD CONSTRAINT claim_sync_org_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id);
ALTER TABLE code_webhook ADD CONSTRAINT code_webhook_organisation_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id) ON DELETE CASCADE;
ALTER TABLE console_code ADD CONSTRAINT console_code_user_fkey FOREIGN KEY (console_user_id) REFERENCES console_user(console_user_id) ON DELETE CASCADE;
ALTER TABLE console_role ADD CONSTRAINT console_role_organisation_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id) ON DELETE CASCADE;
ALTER TABLE console_role ADD CONSTRAINT console_role_user_fkey FOREIGN KEY (console_user_id) REFERENCES console_user(console_user_id) ON DELETE CASCADE;
ALTER TABLE console_session ADD CONSTRAINT console_session_user_fkey FOREIGN KEY (console_user_id) REFERENCES console_user(console_user_id) ON DELETE CASCADE;
ALTER TABLE dataset ADD CONSTRAINT dataset_org_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id);
ALTER TABLE delivery ADD CONSTRAINT delivery_account_fkey FOREIGN KEY (org_id, user_id) REFERENCES account(org_id, user_id) ON DELETE CASCADE;
ALTER TABLE identity_server ADD CONSTRAINT identity_server_org_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id);
ALTER TABLE mobile_code ADD CONSTRAINT mobile_code_account_fkey FOREIGN KEY (org_id, user_id) REFERENCES account(org_id, user_id) ON DELETE CASCADE;
ALTER TABLE oauth_grant ADD CONSTRAINT oauth_grant_account_fkey FOREIGN KEY (org_id, user_id) REFERENCES account(org_id, user_id) ON DELETE CASCADE;
ALTER TABLE oauth_grant ADD CONSTRAINT oauth_grant_application_fkey FOREIGN KEY (org_id, client_id) REFERENCES application(org_id, client_id) ON DELETE CASCADE;
ALTER TABLE refresh_token ADD CONSTRAINT refresh_token_grant_fkey FOREIGN KEY (org_id, grant_id) REFERENCES oauth_grant(org_id, grant_id) ON DELETE CASCADE;
ALTER TABLE revoked_token ADD CONSTRAINT revoked_token_org_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id);
ALTER TABLE signing_key ADD CONSTRAINT signing_key_org_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id);
ALTER TABLE token_key ADD CONSTRAINT token_key_org_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id);
ALTER TABLE trusted_issuer ADD CONSTRAINT trusted_issuer_org_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id);
ALTER TABLE webhook ADD CONSTRAINT webhook_organisation_fkey FOREIGN KEY (org_id) REFERENCES organisation(org_id) ON DELETE CASCADE;
ALTER TABLE webhook_delivery ADD CONSTRAINT webhook_delivery_webhook_fkey FOREIGN KEY (org_id, webhook_id) REFERENCES webhook(org_id, webhook_id) ON DELETE CASCADE;
ALTER TABLE write_key ADD CONSTRAINT write_key_dataset_fkey FOREIGN KEY (dataset_id) REFERENCES dataset(dataset_id);
