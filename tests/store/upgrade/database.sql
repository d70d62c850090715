-- A database of Oneself 0.1.0 with the migrations 0001_directory to 0008_events. README.md says what is in it.

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA oneself;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE oneself.account (
    org_id integer NOT NULL,
    user_id uuid NOT NULL,
    username text NOT NULL,
    username_key text NOT NULL,
    password_hash text NOT NULL,
    claims jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

CREATE TABLE oneself.administrator (
    org_id integer NOT NULL,
    username text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

CREATE TABLE oneself.answer (
    dataset_id integer NOT NULL,
    key text NOT NULL,
    seq bigint NOT NULL,
    profile_id uuid NOT NULL,
    fingerprint text NOT NULL,
    status integer,
    headers jsonb,
    body bytea
);

CREATE TABLE oneself.application (
    org_id integer NOT NULL,
    client_id text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    secret_hash text,
    redirect_uris text[] DEFAULT '{}'::text[] NOT NULL,
    post_logout_redirect_uris text[] DEFAULT '{}'::text[] NOT NULL,
    permissions text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT application_kind_known CHECK ((kind = ANY (ARRAY['machine'::text, 'web'::text, 'browser'::text]))),
    CONSTRAINT application_secret_by_kind CHECK (((kind = 'browser'::text) = (secret_hash IS NULL)))
);

CREATE TABLE oneself.authorization_code (
    org_id integer NOT NULL,
    code_digest bytea NOT NULL,
    grant_id uuid NOT NULL,
    redirect_uri text,
    code_challenge text,
    code_challenge_method text,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);

CREATE TABLE oneself.browser_session (
    org_id integer NOT NULL,
    session_digest bytea NOT NULL,
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    auth_time timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE oneself.claim (
    dataset_id integer NOT NULL,
    namespace text NOT NULL,
    value text NOT NULL,
    seq bigint NOT NULL,
    profile_id uuid NOT NULL,
    trust text NOT NULL,
    until_seq bigint,
    at bigint NOT NULL
);

CREATE TABLE oneself.claim_sync (
    org_id integer NOT NULL,
    requested bigint DEFAULT 0 NOT NULL,
    done bigint DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone,
    succeeded_at timestamp with time zone,
    failed_at timestamp with time zone,
    failure text
);

CREATE TABLE oneself.config (
    dataset_id integer NOT NULL,
    version bigint NOT NULL,
    seq bigint NOT NULL,
    document jsonb NOT NULL
);

CREATE TABLE oneself.dataset (
    dataset_id integer NOT NULL,
    org_id integer NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL
);

ALTER TABLE oneself.dataset ALTER COLUMN dataset_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME oneself.dataset_dataset_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE oneself.identity_server (
    org_id integer NOT NULL,
    url text NOT NULL,
    client_id text NOT NULL,
    grant_type text NOT NULL,
    sync_username text,
    secrets_sealed bytea NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT identity_server_grant_known CHECK ((grant_type = ANY (ARRAY['client_credentials'::text, 'system_app_grant'::text])))
);

CREATE TABLE oneself.indexing (
    dataset_id integer NOT NULL,
    rule_id text NOT NULL,
    state text NOT NULL,
    after_id uuid,
    seen bigint DEFAULT 0 NOT NULL,
    indexed bigint DEFAULT 0 NOT NULL,
    merged bigint DEFAULT 0 NOT NULL,
    total bigint,
    started_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone,
    CONSTRAINT indexing_state_known CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'cancelled'::text])))
);

CREATE TABLE oneself.log (
    dataset_id integer NOT NULL,
    seq bigint NOT NULL,
    observation_id uuid NOT NULL,
    profile_id uuid,
    kind text NOT NULL,
    name text,
    config_version bigint NOT NULL,
    content jsonb NOT NULL,
    plan jsonb,
    redacted boolean DEFAULT false NOT NULL
);

CREATE TABLE oneself.login_failure (
    org_id integer NOT NULL,
    subject bytea NOT NULL,
    failures integer NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE oneself.merge (
    dataset_id integer NOT NULL,
    absorbed_id uuid NOT NULL,
    seq bigint NOT NULL,
    survivor_id uuid NOT NULL,
    reason text NOT NULL,
    namespace text,
    value text,
    observation_id uuid NOT NULL
);

CREATE TABLE oneself.migration (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE oneself.oauth_grant (
    org_id integer NOT NULL,
    grant_id uuid NOT NULL,
    client_id text NOT NULL,
    user_id uuid NOT NULL,
    session_id uuid,
    scope text NOT NULL,
    nonce text,
    auth_time timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
);

CREATE TABLE oneself.organisation (
    org_id integer NOT NULL,
    handle text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT organisation_handle_form CHECK ((handle ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text))
);

ALTER TABLE oneself.organisation ALTER COLUMN org_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME oneself.organisation_org_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE oneself.profile (
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
    erased boolean DEFAULT false NOT NULL,
    visit_at timestamp with time zone NOT NULL,
    visits jsonb DEFAULT '[]'::jsonb NOT NULL,
    first_active_at timestamp with time zone NOT NULL,
    objects jsonb DEFAULT '{}'::jsonb NOT NULL,
    aliases jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT profile_absorbed_has_reason CHECK (((survivor_id IS NULL) = (reason IS NULL))),
    CONSTRAINT profile_not_its_own_survivor CHECK ((survivor_id <> profile_id))
)
WITH (fillfactor='80');

CREATE TABLE oneself.refresh_token (
    org_id integer NOT NULL,
    token_digest bytea NOT NULL,
    grant_id uuid NOT NULL,
    scope text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);

CREATE TABLE oneself.refusal (
    dataset_id integer NOT NULL,
    code text NOT NULL,
    profile_id uuid NOT NULL,
    other_id uuid NOT NULL,
    namespace text NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    times bigint NOT NULL
);

CREATE TABLE oneself.revoked_token (
    org_id integer NOT NULL,
    token_id text NOT NULL,
    revoked_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE oneself.signing_key (
    org_id integer NOT NULL,
    key_id text NOT NULL,
    algorithm text NOT NULL,
    public_jwk jsonb NOT NULL,
    private_sealed bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone
);

CREATE TABLE oneself.skipped_claim (
    dataset_id integer NOT NULL,
    path text NOT NULL,
    problem text NOT NULL,
    times bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL
);

CREATE TABLE oneself.token_key (
    org_id integer NOT NULL,
    key_id integer NOT NULL,
    secret_sealed bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    active_from timestamp with time zone NOT NULL,
    CONSTRAINT token_key_id_range CHECK (((key_id >= 1) AND (key_id <= 65535)))
);

CREATE VIEW oneself.token_key_state AS
 SELECT org_id,
    key_id,
    secret_sealed,
    created_at,
    active_from,
        CASE
            WHEN (active_from > statement_timestamp()) THEN 'waiting'::text
            WHEN (row_number() OVER (PARTITION BY org_id, (active_from > statement_timestamp()) ORDER BY active_from DESC, key_id DESC) = 1) THEN 'active'::text
            ELSE 'retired'::text
        END AS state
   FROM oneself.token_key;

CREATE TABLE oneself.tombstone (
    dataset_id integer NOT NULL,
    digest bytea NOT NULL,
    erased_at timestamp with time zone NOT NULL
);

CREATE TABLE oneself.trusted_issuer (
    org_id integer NOT NULL,
    issuer_id uuid NOT NULL,
    issuer text NOT NULL,
    audience text NOT NULL,
    jwks_uri text,
    permissions text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

INSERT INTO oneself.account VALUES
	(1, '8f2816a5-2ef4-407a-8abb-3230aef97104', 'ivy@acme.example', 'ivy@acme.example', '$argon2id$v=19$m=65536,t=3,p=4$hp+wu0YLRCu9KPkUJmtnbA$g62lZUeB06KoVpa+bGBb/Yv27kOctBM8rd6z8U8SO2w', '{"userid": "8f2816a5-2ef4-407a-8abb-3230aef97104", "lastname": "Archer", "username": "ivy@acme.example", "givenname": "Ann", "emailaddress": "ivy@acme.example"}', '2026-11-28 22:17:35.51165+00', '2026-11-28 22:17:35.51165+00');

INSERT INTO oneself.administrator VALUES
	(1, 'admin', '$argon2id$v=19$m=65536,t=3,p=4$+F4KX02HJCXsHe0UQcMM4Q$cu1slvHDI8lLWtCNgoUDJ4LYM382/vEOIRHuvKwr7ss', '2026-11-28 22:16:35.484053+00', '2026-11-28 22:16:35.484053+00');

INSERT INTO oneself.answer VALUES
	(1, 'request:acme-backend:4d7c6a2e-0d0b-4c3e-9a55-5b1e6f1f0a01', 1795904257445782, 'c79414d7-2759-4760-b901-88ac740bd437', '1c9f9713726080f2839a35023ac152d9', 201, '[["Location", "http://localhost:40509/t/acme/cds/api/v1/profiles/c79414d7-2759-4760-b901-88ac740bd437"], ["Set-Cookie", "cds_profile=15ebfb1f-a02e-4e8c-9884-4e928a01830d; Path=/; HttpOnly; SameSite=Lax"], ["ETag", "\"1795904257445782\""]]', '\x7b2270726f66696c655f6964223a2263373934313464372d323735392d343736302d623930312d383861633734306264343337222c226d657461223a7b22637265617465645f6174223a22323032362d31312d32385432323a31373a33372e3434353738325a222c22757064617465645f6174223a22323032362d31312d32385432323a31373a33372e3434353738325a222c226c6f636174696f6e223a2261636d652f6364732f6170692f76312f70726f66696c65732f63373934313464372d323735392d343736302d623930312d383861633734306264343337227d2c22616e6f6e796d6f75735f70726f66696c655f747261636b6572223a2231356562666231662d613032652d346538632d393838342d346539323861303138333064222c22747261697473223a7b22706c616e223a226f6e6365227d7d');

INSERT INTO oneself.application VALUES
	(1, 'acme-backend', 'System application', 'machine', '$argon2id$v=19$m=65536,t=3,p=4$QBqdzFmOumZfcLv5cIRTtg$iJotHwWMJUXV5zmUYgxpR8Ta3xA3Wa5tmlVzrz34C88', '{}', '{}', '{internal_cds_profile_view,internal_cds_profile_create,internal_cds_profile_update,internal_cds_profile_delete,internal_cds_profile_link,internal_cds_profile_schema_view,internal_cds_profile_schema_create,internal_cds_profile_schema_update,internal_cds_profile_schema_delete,internal_cds_unification_rule_view,internal_cds_unification_rule_create,internal_cds_unification_rule_update,internal_cds_unification_rule_delete,internal_cds_consent_category_view,internal_cds_consent_category_create,internal_cds_consent_category_update,internal_cds_consent_category_delete,internal_cds_admin_config_view,internal_cds_admin_config_update,internal_cds_profile_merge,internal_cds_identity_view,internal_cds_identity_update,internal_cds_event_create}', '2026-11-28 22:16:33.311255+00', '2026-11-28 22:16:33.311255+00'),
	(1, 'shop', 'shop', 'machine', '$argon2id$v=19$m=65536,t=3,p=4$8QwIRcRltXuiXLBDexTxig$we1NrKwefS+RihKGEtvhmFf2WeMpdQOG6hRjPi1y8ZY', '{}', '{}', '{internal_cds_profile_view,internal_cds_profile_create,internal_cds_profile_update,internal_cds_profile_delete,internal_cds_profile_link,internal_cds_profile_schema_view,internal_cds_profile_schema_create,internal_cds_profile_schema_update,internal_cds_profile_schema_delete,internal_cds_unification_rule_view,internal_cds_unification_rule_create,internal_cds_unification_rule_update,internal_cds_unification_rule_delete,internal_cds_consent_category_view,internal_cds_consent_category_create,internal_cds_consent_category_update,internal_cds_consent_category_delete,internal_cds_admin_config_view,internal_cds_admin_config_update}', '2026-11-28 22:17:01.656572+00', '2026-11-28 22:17:01.656572+00'),
	(1, 'portal', 'portal', 'web', '$argon2id$v=19$m=65536,t=3,p=4$sVXUwpM3QOF/o4wZH7WaAg$5TELNA/3ELA6n9TmClw35L6WR3QwnwvzKBWJmzQSMwM', '{https://shop.example/callback}', '{}', '{internal_cds_profile_view,internal_cds_profile_create,internal_cds_profile_update,internal_cds_profile_delete,internal_cds_profile_link,internal_cds_profile_schema_view,internal_cds_profile_schema_create,internal_cds_profile_schema_update,internal_cds_profile_schema_delete,internal_cds_unification_rule_view,internal_cds_unification_rule_create,internal_cds_unification_rule_update,internal_cds_unification_rule_delete,internal_cds_consent_category_view,internal_cds_consent_category_create,internal_cds_consent_category_update,internal_cds_consent_category_delete,internal_cds_admin_config_view,internal_cds_admin_config_update}', '2026-11-28 22:17:16.487792+00', '2026-11-28 22:17:16.487792+00');

INSERT INTO oneself.authorization_code VALUES
	(1, '\x34d6559f6c3e7b11ca630b27e5901d86e72a539726d06a6c4410d49f7c47612e', '9ab3de4d-dc5f-4f0e-9c55-1b960b203d7f', 'https://shop.example/callback', '242y1BAvlayECtr9vDxt6__Z0T-X2jEXz57_rXBZUs8', 'S256', '2026-11-28 22:17:35.661365+00', '2026-11-28 22:22:35.661365+00', '2026-11-28 22:17:37.289034+00');

INSERT INTO oneself.browser_session VALUES
	(1, '\x39cb787d6d53bbaadab85ed551e10e0e3454ef3cabb1e4e473d4df2896796f8b', 'd7d7fa16-f0f6-487e-8090-62f37a28b9db', '8f2816a5-2ef4-407a-8abb-3230aef97104', '2026-11-28 22:17:35.533566+00', '2026-11-29 10:17:35.533566+00');

INSERT INTO oneself.claim VALUES
	(1, 'user_id', 'user-ann', 1795904245340578, '9591149c-e58b-474f-ba88-b692bf312fab', 'server', NULL, 1795904245340578),
	(1, 'traits.loyalty', 'l-1', 1795904245340578, '9591149c-e58b-474f-ba88-b692bf312fab', 'server', NULL, 1795904245340578),
	(1, 'tracker', 'd454c894-bca6-47bf-9bcf-cf492064d0d7', 1795904245340578, '9591149c-e58b-474f-ba88-b692bf312fab', 'server', NULL, 1795904245340578),
	(1, 'traits.phones', '+94 1', 1795904245791558, '1317e1f6-4987-431e-81de-7fe5e0c35190', 'server', NULL, 1795904245791558),
	(1, 'tracker', '93a00760-2edc-49b9-a34f-9f99cf9d911a', 1795904245791558, '1317e1f6-4987-431e-81de-7fe5e0c35190', 'server', NULL, 1795904245791558),
	(1, 'traits.phones', '+94 2', 1795904246239256, 'daac15bc-9c6d-4d9b-ae5b-4c2748e9442a', 'server', NULL, 1795904246239256),
	(1, 'tracker', 'bc3b56b2-ca78-4a58-bc61-b63b1c5c4430', 1795904246239256, 'daac15bc-9c6d-4d9b-ae5b-4c2748e9442a', 'server', NULL, 1795904246239256),
	(1, 'user_id', 'user-bob', 1795904248070329, '23de921e-daef-430d-915c-4ef1548d9ed2', 'server', NULL, 1795904248070329),
	(1, 'traits.loyalty', 'l-2', 1795904248070329, '23de921e-daef-430d-915c-4ef1548d9ed2', 'server', NULL, 1795904248070329),
	(1, 'tracker', '8aa552cf-72fe-4a5a-842b-b4d673c8e01f', 1795904248070329, '23de921e-daef-430d-915c-4ef1548d9ed2', 'server', NULL, 1795904248070329),
	(1, 'user_id', 'user-cay', 1795904248149846, '0a2481ef-2fff-4bd7-980b-3306e53b74a9', 'server', NULL, 1795904248149846),
	(1, 'traits.loyalty', 'l-2', 1795904248149846, '0a2481ef-2fff-4bd7-980b-3306e53b74a9', 'server', NULL, 1795904248149846),
	(1, 'tracker', '3f4d49a8-bfb5-4209-aeff-bb2d72ae099d', 1795904248149846, '0a2481ef-2fff-4bd7-980b-3306e53b74a9', 'server', NULL, 1795904248149846),
	(1, 'user_id', 'user-dan', 1795904248242885, '3b857976-8087-4490-9c1d-59907b2021d6', 'server', NULL, 1795904248242885),
	(1, 'tracker', '1eab9768-0df2-485b-8695-fd957b7f5650', 1795904248242885, '3b857976-8087-4490-9c1d-59907b2021d6', 'server', NULL, 1795904248242885),
	(1, 'tracker', 'd146dd72-d447-4b84-b8ec-8e12007b41e7', 1795904248310044, 'c69337ba-d3db-4765-9415-b12c68a5b35b', 'server', NULL, 1795904248310044),
	(1, 'traits.home.city', 'kandy', 1795904250475625, '3b857976-8087-4490-9c1d-59907b2021d6', 'server', NULL, 1795904250475625),
	(1, 'traits.home.city', 'galle', 1795904250475626, '9591149c-e58b-474f-ba88-b692bf312fab', 'server', NULL, 1795904250475626),
	(1, 'tracker', '041a6e52-460a-49cc-86a5-f37ab6022c1c', 1795904250735307, '981bf847-6f6a-4441-9a19-abea8568d4dd', 'server', NULL, 1795904250735307),
	(2, 'anonymous_id', 'a1b2c3d4e5f60718', 1795904251858391, '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'browser', NULL, 1795897051626000),
	(2, 'anonymous_id', '0817f6e5d4c3b2a1', 1795904252002298, '58cdb9f1-00a3-4d2d-a337-0e4820113486', 'browser', NULL, 1795897111626000),
	(2, 'emailAddress', 'fay@acme.example', 1795904252179568, '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'browser', NULL, 1795897171626000),
	(2, 'webId', 'web-fay', 1795904252179568, '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'browser', NULL, 1795897171626000),
	(2, 'loyaltyId', 'F-1', 1795904252467554, '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'browser', NULL, 1795897291626000),
	(2, 'accountNumber', 'a-1', 1795904252567645, '4a993052-4e2e-4d84-a74a-e749365a2ba8', 'browser', NULL, 1795897051626000),
	(2, 'emailAddress', 'guy@acme.example', 1795904252567645, '4a993052-4e2e-4d84-a74a-e749365a2ba8', 'browser', NULL, 1795897051626000),
	(2, 'anonymous_id', 'a302bfe70226ebbd', 1795904252567645, '4a993052-4e2e-4d84-a74a-e749365a2ba8', 'browser', NULL, 1795897051626000),
	(2, 'accountNumber', 'a-2', 1795904252658829, '764d14d3-40d5-4b14-8f83-336a39bbe615', 'browser', NULL, 1795897111626000),
	(2, 'anonymous_id', 'b39d909954ec9602', 1795904252658829, '764d14d3-40d5-4b14-8f83-336a39bbe615', 'browser', NULL, 1795897111626000),
	(2, 'anonymous_id', '354d46c710bec663', 1795904252859258, '764d14d3-40d5-4b14-8f83-336a39bbe615', 'browser', NULL, 1795897171626000),
	(2, 'anonymous_id', '00112233445566aa', 1795904252953014, 'a5a1a81b-413f-4ae1-9b6b-2122dc0ec955', 'browser', NULL, 1795897051626000),
	(2, 'emailAddress', 'hal@acme.example', 1795904253023556, 'af25ef82-dbce-4993-aaf6-1dd8849a8713', 'server', NULL, 1795897051626000),
	(1, 'tracker', '4b582704-22dc-4b3e-a54a-f70eb8165510', 1795904253113427, '94b45d94-a988-4cbe-ae22-33f7f61b64d1', 'server', NULL, 1795904253113427),
	(1, 'user_id', '8f2816a5-2ef4-407a-8abb-3230aef97104', 1795904255636884, '94b45d94-a988-4cbe-ae22-33f7f61b64d1', 'server', NULL, 1795904255636884),
	(1, 'tracker', '15ebfb1f-a02e-4e8c-9884-4e928a01830d', 1795904257445782, 'c79414d7-2759-4760-b901-88ac740bd437', 'server', NULL, 1795904257445782);

INSERT INTO oneself.config VALUES
	(1, 29, 1795904251163415, '{"seq": 1795904251163415, "rules": {"605f5e3c-f58f-4e56-aa54-52f9fd41ee44": {"rule_id": "605f5e3c-f58f-4e56-aa54-52f9fd41ee44", "priority": 1, "is_active": true, "rule_name": "same loyalty card", "property_name": "traits.loyalty"}, "d385148b-042e-48ef-a3b5-6598189c688c": {"rule_id": "d385148b-042e-48ef-a3b5-6598189c688c", "priority": 2, "is_active": true, "rule_name": "same phone", "property_name": "traits.phones"}, "da92de2e-c1ca-4f21-af21-2a66491f13c4": {"rule_id": "da92de2e-c1ca-4f21-af21-2a66491f13c4", "priority": 3, "is_active": false, "rule_name": "same member", "property_name": "traits.member"}, "fc6ec19b-dc3f-45c7-8c0b-931abec64452": {"rule_id": "fc6ec19b-dc3f-45c7-8c0b-931abec64452", "priority": 4, "is_active": true, "rule_name": "same city", "property_name": "traits.home.city"}}, "limits": {}, "blocked": {}, "dataset": {}, "version": 29, "channels": {"Web": "webId"}, "settings": {"cds_enabled": true, "system_applications": ["acme-backend"]}, "attributes": [{"mutability": "readOnly", "value_type": "string", "attribute_id": "16ae4d04-c006-4f5b-8516-2473c216a80c", "display_name": "userid", "attribute_name": "identity_attributes.userid", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "fb98f5c4-20b8-4370-8c3d-8e8c4927d428", "display_name": "username", "attribute_name": "identity_attributes.username", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "c7335f0a-9322-4e25-bda4-fdd9e9e0c43f", "display_name": "emailaddress", "attribute_name": "identity_attributes.emailaddress", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "ac4f7bbf-3894-4f2e-9fda-3677129002e5", "display_name": "givenname", "attribute_name": "identity_attributes.givenname", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "7ad32192-4599-463d-80fd-70acd7806293", "display_name": "lastname", "attribute_name": "identity_attributes.lastname", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "c764510d-6cd0-48ec-a223-fc0d137f24f4", "display_name": "mobile", "attribute_name": "identity_attributes.mobile", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "eef6f7cf-7f61-4bb6-968b-e1aac09c7ea5", "display_name": "plan", "attribute_name": "traits.plan", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "470fa331-d65b-4479-a798-c88d5a8b0f0a", "display_name": "loyalty", "attribute_name": "traits.loyalty", "merge_strategy": "overwrite"}, {"value_type": "integer", "attribute_id": "231db132-9418-4586-848c-15bae98f0e8f", "display_name": "visits", "attribute_name": "traits.visits", "merge_strategy": "overwrite"}, {"value_type": "decimal", "attribute_id": "f0a8b727-2ccb-4aa1-9a6c-e3418d26ff47", "display_name": "score", "attribute_name": "traits.score", "merge_strategy": "overwrite"}, {"value_type": "boolean", "attribute_id": "9cb2dc31-d4d7-4c4e-b0fb-509987c49520", "display_name": "vip", "attribute_name": "traits.vip", "merge_strategy": "overwrite"}, {"value_type": "date", "attribute_id": "27fbd09d-d38c-427d-963f-9dd2ddca83c3", "display_name": "member_since", "attribute_name": "traits.member_since", "merge_strategy": "overwrite"}, {"value_type": "date_time", "attribute_id": "56ee05a0-3791-4607-a8cf-faba85058ab6", "display_name": "last_order", "attribute_name": "traits.last_order", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "c69d7790-218c-4c13-9a6e-fa6bb21c0060", "display_name": "member", "attribute_name": "traits.member", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "c870260c-d4e4-4695-962a-6a6f15b6d6aa", "display_name": "phones", "multi_valued": true, "attribute_name": "traits.phones", "merge_strategy": "combine"}, {"value_type": "string", "attribute_id": "6e5e25e7-3452-49cd-816a-c3e9cd17aa94", "display_name": "interests", "multi_valued": true, "attribute_name": "traits.interests", "merge_strategy": "combine"}, {"value_type": "string", "attribute_id": "582ea865-ce44-478f-a4e8-001c08bc9473", "display_name": "city", "attribute_name": "traits.home.city", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "4ab99e3d-1ca4-41d0-a6f9-fc0ce9b188c9", "display_name": "street", "attribute_name": "traits.home.street", "merge_strategy": "overwrite"}, {"value_type": "complex", "attribute_id": "c4c0a9d3-6997-485a-ab46-00fb1a01330f", "display_name": "home", "attribute_name": "traits.home", "merge_strategy": "overwrite", "sub_attributes": ["582ea865-ce44-478f-a4e8-001c08bc9473", "4ab99e3d-1ca4-41d0-a6f9-fc0ce9b188c9"]}, {"value_type": "integer", "attribute_id": "19d432da-8e8b-45f3-b8b2-9a813ba523df", "display_name": "basket", "attribute_name": "application_data.basket", "merge_strategy": "overwrite", "application_identifier": "acme-backend"}, {"value_type": "string", "attribute_id": "bfba0834-db03-4c9e-881d-ab3fc78b7ca5", "display_name": "theme", "attribute_name": "application_data.theme", "merge_strategy": "overwrite", "application_identifier": "acme-backend"}, {"value_type": "integer", "attribute_id": "60990ee3-0bb0-402d-a5e7-93f99d4a9796", "display_name": "basket", "attribute_name": "application_data.basket", "merge_strategy": "overwrite", "application_identifier": "shop"}, {"value_type": "string", "attribute_id": "7e7d8c98-43f3-4ad3-9b6f-fc30e87b866d", "display_name": "theme", "attribute_name": "application_data.theme", "merge_strategy": "overwrite", "application_identifier": "shop"}, {"value_type": "string", "attribute_id": "a2d3d0d9-3914-45cb-af70-89c173038723", "display_name": "webId", "attribute_name": "identity_attributes.webId", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "2cf9fbcc-119f-4ab5-b550-a97835e40288", "display_name": "loyaltyId", "attribute_name": "identity_attributes.loyaltyId", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "d92ab0fe-cbc2-404a-a658-8430f979fd0c", "display_name": "accountNumber", "attribute_name": "identity_attributes.accountNumber", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "6345519b-019b-476f-8233-f7f52688483c", "display_name": "memberNumber", "attribute_name": "identity_attributes.memberNumber", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "4aea8b02-f1b6-4745-8de7-53cc0863c3cb", "display_name": "Email Address", "attribute_name": "identity_attributes.emailAddress", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "9bac61aa-e90a-46b0-a0ef-6e2d17bf142e", "display_name": "Customer ID", "attribute_name": "identity_attributes.customerId", "merge_strategy": "latest"}], "categories": {"857521b1-4ec7-4dde-bae4-d4afbcedd788": {"purpose": "profiling", "is_mandatory": true, "category_name": "Identity Data", "category_identifier": "857521b1-4ec7-4dde-bae4-d4afbcedd788"}, "99de5d54-dadf-4775-bdf6-324a022bb16d": {"purpose": "personalization", "attributes": [{"attribute_name": "application_data.basket", "application_identifier": "shop"}], "category_name": "basket reminders", "category_identifier": "99de5d54-dadf-4775-bdf6-324a022bb16d"}, "ca0a5180-5483-42dd-a2ab-587971f8e202": {"purpose": "personalization", "attributes": [{"attribute_name": "traits.plan"}, {"attribute_name": "traits.visits"}], "category_name": "personalised offers", "category_identifier": "ca0a5180-5483-42dd-a2ab-587971f8e202"}}, "read_since": {"webId": 1795904244053485, "loyaltyId": 1795904244053485, "customerId": 1795904244053485, "emailAddress": 1795904244053485, "memberNumber": 1795904244053485, "accountNumber": 1795904244053485, "traits.phones": 1795904242943136, "traits.loyalty": 1795904242740644, "traits.home.city": 1795904248373034}, "identity_types": {"webId": {"label": "webId", "type_id": "webId"}, "loyaltyId": {"label": "loyaltyId", "type_id": "loyaltyId", "case_sensitive": true}, "memberNumber": {"label": "memberNumber", "type_id": "memberNumber", "blocked_values": ["12345", "Guest"]}, "accountNumber": {"label": "accountNumber", "type_id": "accountNumber", "conflict_blocks_merge": true}}, "identity_attributes": {"webId": {"name": "webId", "type_id": "webId", "attribute": "identity_attributes.webId"}, "loyaltyId": {"name": "loyaltyId", "type_id": "loyaltyId", "attribute": "identity_attributes.loyaltyId"}, "customerId": {"name": "customerId", "type_id": "customerId", "attribute": "identity_attributes.customerId"}, "emailAddress": {"name": "emailAddress", "type_id": "emailAddress", "attribute": "identity_attributes.emailAddress"}, "memberNumber": {"name": "memberNumber", "type_id": "memberNumber", "attribute": "identity_attributes.memberNumber"}, "accountNumber": {"name": "accountNumber", "type_id": "accountNumber", "attribute": "identity_attributes.accountNumber"}}}'),
	(2, 3, 1795904245063041, '{"seq": 1795904245063041, "limits": {}, "blocked": {}, "dataset": {"label": "Web shop", "enable_remember_me_user_ids": true, "remember_me_user_ids_millis": 315360000000}, "version": 3, "channels": {"Web": "webId"}, "settings": {}, "attributes": [{"value_type": "string", "attribute_id": "c1a9b316-fead-4e4c-b81c-481fd475791e", "display_name": "webId", "attribute_name": "identity_attributes.webId", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "9fba1092-ef6e-440b-a1e9-cea3d94075f0", "display_name": "loyaltyId", "attribute_name": "identity_attributes.loyaltyId", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "620e24f7-f505-4085-87bc-28eeb53b9e28", "display_name": "accountNumber", "attribute_name": "identity_attributes.accountNumber", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "de4422c5-cac4-4726-b727-e538669aa058", "display_name": "memberNumber", "attribute_name": "identity_attributes.memberNumber", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "a8286e15-556d-47ed-a3e6-1e4004e3857e", "display_name": "Email Address", "attribute_name": "identity_attributes.emailAddress", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "3710917a-b827-4b01-9a02-374cf3608579", "display_name": "Customer ID", "attribute_name": "identity_attributes.customerId", "merge_strategy": "latest"}], "read_since": {"webId": 1795904244806635, "loyaltyId": 1795904244806635, "customerId": 1795904244806635, "emailAddress": 1795904244806635, "memberNumber": 1795904244806635, "accountNumber": 1795904244806635}, "identity_types": {"webId": {"label": "webId", "type_id": "webId"}, "loyaltyId": {"label": "loyaltyId", "type_id": "loyaltyId", "case_sensitive": true}, "memberNumber": {"label": "memberNumber", "type_id": "memberNumber", "blocked_values": ["12345", "Guest"]}, "accountNumber": {"label": "accountNumber", "type_id": "accountNumber", "conflict_blocks_merge": true}}, "identity_attributes": {"webId": {"name": "webId", "type_id": "webId", "attribute": "identity_attributes.webId"}, "loyaltyId": {"name": "loyaltyId", "type_id": "loyaltyId", "attribute": "identity_attributes.loyaltyId"}, "customerId": {"name": "customerId", "type_id": "customerId", "attribute": "identity_attributes.customerId"}, "emailAddress": {"name": "emailAddress", "type_id": "emailAddress", "attribute": "identity_attributes.emailAddress"}, "memberNumber": {"name": "memberNumber", "type_id": "memberNumber", "attribute": "identity_attributes.memberNumber"}, "accountNumber": {"name": "accountNumber", "type_id": "accountNumber", "attribute": "identity_attributes.accountNumber"}}}');

INSERT INTO oneself.dataset OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 'default', '2026-11-28 22:16:29.690449+00'),
	(2, 1, 'web', '2026-11-28 22:17:23.980401+00');

INSERT INTO oneself.indexing VALUES
	(1, '605f5e3c-f58f-4e56-aa54-52f9fd41ee44', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:22.699295+00', '2026-11-28 22:17:23.089392+00', NULL),
	(1, 'fc6ec19b-dc3f-45c7-8c0b-931abec64452', 'done', 'c69337ba-d3db-4765-9415-b12c68a5b35b', 5, 3, 1, 5, '2026-11-28 22:17:28.363665+00', '2026-11-28 22:17:30.624656+00', NULL),
	(1, 'd385148b-042e-48ef-a3b5-6598189c688c', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:22.871028+00', '2026-11-28 22:17:23.157853+00', NULL),
	(1, 'identity:accountNumber', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:24.041199+00', '2026-11-28 22:17:25.253173+00', NULL),
	(1, 'identity:customerId', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:24.041199+00', '2026-11-28 22:17:25.347158+00', NULL),
	(1, 'identity:emailAddress', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:24.041199+00', '2026-11-28 22:17:25.43347+00', NULL),
	(1, 'identity:loyaltyId', 'done', '9591149c-e58b-474f-ba88-b692bf312fab', 1, 0, 0, 0, '2026-11-28 22:17:24.041199+00', '2026-11-28 22:17:25.639667+00', NULL),
	(1, 'identity:memberNumber', 'done', '9591149c-e58b-474f-ba88-b692bf312fab', 1, 0, 0, 0, '2026-11-28 22:17:24.041199+00', '2026-11-28 22:17:25.791024+00', NULL),
	(1, 'identity:webId', 'done', '9591149c-e58b-474f-ba88-b692bf312fab', 1, 0, 0, 0, '2026-11-28 22:17:24.041199+00', '2026-11-28 22:17:25.994892+00', NULL),
	(2, 'identity:accountNumber', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:24.796368+00', '2026-11-28 22:17:26.103505+00', NULL),
	(2, 'identity:customerId', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:24.796368+00', '2026-11-28 22:17:26.187025+00', NULL),
	(2, 'identity:emailAddress', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:24.796368+00', '2026-11-28 22:17:26.233814+00', NULL),
	(2, 'identity:loyaltyId', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:24.796368+00', '2026-11-28 22:17:26.300246+00', NULL),
	(2, 'identity:memberNumber', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:24.796368+00', '2026-11-28 22:17:26.332374+00', NULL),
	(2, 'identity:webId', 'done', NULL, 0, 0, 0, 0, '2026-11-28 22:17:24.796368+00', '2026-11-28 22:17:26.375037+00', NULL);

INSERT INTO oneself.log VALUES
	(1, 1795904191283617, '7a09f81e-b16d-4d38-bab5-b47b389d41fe', NULL, 'configure', NULL, 1, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"mutability": "readOnly", "value_type": "string", "attribute_id": "16ae4d04-c006-4f5b-8516-2473c216a80c", "display_name": "userid", "attribute_name": "identity_attributes.userid", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "fb98f5c4-20b8-4370-8c3d-8e8c4927d428", "display_name": "username", "attribute_name": "identity_attributes.username", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "c7335f0a-9322-4e25-bda4-fdd9e9e0c43f", "display_name": "emailaddress", "attribute_name": "identity_attributes.emailaddress", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "ac4f7bbf-3894-4f2e-9fda-3677129002e5", "display_name": "givenname", "attribute_name": "identity_attributes.givenname", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "7ad32192-4599-463d-80fd-70acd7806293", "display_name": "lastname", "attribute_name": "identity_attributes.lastname", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "c764510d-6cd0-48ec-a223-fc0d137f24f4", "display_name": "mobile", "attribute_name": "identity_attributes.mobile", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904191398195, 'a512b2d0-6115-490f-890c-24f7e3c7d82b', NULL, 'configure', NULL, 2, '{"face": "cds", "change": {"type": "several", "changes": [{"type": "put_settings", "cds_enabled": true}, {"type": "put_category", "category": {"purpose": "profiling", "is_mandatory": true, "category_name": "Identity Data", "category_identifier": "857521b1-4ec7-4dde-bae4-d4afbcedd788"}}]}}', NULL, false),
	(1, 1795904191503302, '67a242d5-445e-448b-8ce2-0328f376f677', NULL, 'configure', NULL, 3, '{"face": "cds", "change": {"type": "put_settings", "system_applications": ["acme-backend"]}}', NULL, false),
	(1, 1795904241099761, 'f16e12e4-e65e-4bdd-975b-5c4981e10066', NULL, 'configure', NULL, 4, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "string", "attribute_id": "eef6f7cf-7f61-4bb6-968b-e1aac09c7ea5", "display_name": "plan", "attribute_name": "traits.plan", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904241221309, '920413c8-9b51-4467-be4c-04e05e29ab2d', NULL, 'configure', NULL, 5, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "string", "attribute_id": "470fa331-d65b-4479-a798-c88d5a8b0f0a", "display_name": "loyalty", "attribute_name": "traits.loyalty", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904241300138, '46bfbaaf-c6a4-4cdb-82f6-672ba46a7bfd', NULL, 'configure', NULL, 6, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "integer", "attribute_id": "231db132-9418-4586-848c-15bae98f0e8f", "display_name": "visits", "attribute_name": "traits.visits", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904241368992, '0a998170-d646-45cb-867a-dab4c46d6b40', NULL, 'configure', NULL, 7, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "decimal", "attribute_id": "f0a8b727-2ccb-4aa1-9a6c-e3418d26ff47", "display_name": "score", "attribute_name": "traits.score", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904241480842, 'ce56ffd2-930b-4f7b-a95d-a4effcedad14', NULL, 'configure', NULL, 8, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "boolean", "attribute_id": "9cb2dc31-d4d7-4c4e-b0fb-509987c49520", "display_name": "vip", "attribute_name": "traits.vip", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904241551163, '70a4660e-f757-4b38-93d5-32290bf923cf', NULL, 'configure', NULL, 9, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "date", "attribute_id": "27fbd09d-d38c-427d-963f-9dd2ddca83c3", "display_name": "member_since", "attribute_name": "traits.member_since", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904241638022, '2309643b-0b11-43e8-a0ac-1478edacd46e', NULL, 'configure', NULL, 10, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "date_time", "attribute_id": "56ee05a0-3791-4607-a8cf-faba85058ab6", "display_name": "last_order", "attribute_name": "traits.last_order", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904241766513, '96487e3f-10e6-4bc0-96c1-7f6a24f6b0eb', NULL, 'configure', NULL, 11, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "string", "attribute_id": "c69d7790-218c-4c13-9a6e-fa6bb21c0060", "display_name": "member", "attribute_name": "traits.member", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904241884558, '170053d1-e454-4a35-acfe-10b115c7daff', NULL, 'configure', NULL, 12, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "string", "attribute_id": "c870260c-d4e4-4695-962a-6a6f15b6d6aa", "display_name": "phones", "multi_valued": true, "attribute_name": "traits.phones", "merge_strategy": "combine"}]}}', NULL, false),
	(1, 1795904241996679, 'b41e4a90-a867-4467-8bf8-e558b0334472', NULL, 'configure', NULL, 13, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "string", "attribute_id": "6e5e25e7-3452-49cd-816a-c3e9cd17aa94", "display_name": "interests", "multi_valued": true, "attribute_name": "traits.interests", "merge_strategy": "combine"}]}}', NULL, false),
	(1, 1795904242211163, '7a80f68d-be9c-41b1-a5e1-4f7d9b088b6a', NULL, 'configure', NULL, 14, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "string", "attribute_id": "582ea865-ce44-478f-a4e8-001c08bc9473", "display_name": "city", "attribute_name": "traits.home.city", "merge_strategy": "overwrite"}, {"value_type": "string", "attribute_id": "4ab99e3d-1ca4-41d0-a6f9-fc0ce9b188c9", "display_name": "street", "attribute_name": "traits.home.street", "merge_strategy": "overwrite"}]}}', NULL, false),
	(1, 1795904242311157, '9818ab0b-9ebd-49c9-a221-b0b0b47f0b2a', NULL, 'configure', NULL, 15, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "complex", "attribute_id": "c4c0a9d3-6997-485a-ab46-00fb1a01330f", "display_name": "home", "attribute_name": "traits.home", "merge_strategy": "overwrite", "sub_attributes": ["582ea865-ce44-478f-a4e8-001c08bc9473", "4ab99e3d-1ca4-41d0-a6f9-fc0ce9b188c9"]}]}}', NULL, false),
	(1, 1795904242512758, 'e785f921-0005-49e0-9d7c-ef88f1362795', NULL, 'configure', NULL, 16, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "integer", "attribute_id": "19d432da-8e8b-45f3-b8b2-9a813ba523df", "display_name": "basket", "attribute_name": "application_data.basket", "merge_strategy": "overwrite", "application_identifier": "acme-backend"}, {"value_type": "string", "attribute_id": "bfba0834-db03-4c9e-881d-ab3fc78b7ca5", "display_name": "theme", "attribute_name": "application_data.theme", "merge_strategy": "overwrite", "application_identifier": "acme-backend"}]}}', NULL, false),
	(1, 1795904242631594, '9c1449b9-d6fc-4518-a489-996566bcdcef', NULL, 'configure', NULL, 17, '{"face": "cds", "change": {"type": "put_attributes", "attributes": [{"value_type": "integer", "attribute_id": "60990ee3-0bb0-402d-a5e7-93f99d4a9796", "display_name": "basket", "attribute_name": "application_data.basket", "merge_strategy": "overwrite", "application_identifier": "shop"}, {"value_type": "string", "attribute_id": "7e7d8c98-43f3-4ad3-9b6f-fc30e87b866d", "display_name": "theme", "attribute_name": "application_data.theme", "merge_strategy": "overwrite", "application_identifier": "shop"}]}}', NULL, false),
	(1, 1795904242740644, '6de02655-b5e3-4e48-82f6-d72e82806c16', NULL, 'configure', NULL, 18, '{"face": "cds", "change": {"rule": {"rule_id": "605f5e3c-f58f-4e56-aa54-52f9fd41ee44", "priority": 1, "is_active": true, "rule_name": "same loyalty card", "property_name": "traits.loyalty"}, "type": "put_rule"}}', NULL, false),
	(1, 1795904242943136, '9a170252-c2e7-42f6-b4d5-ca7a6a477011', NULL, 'configure', NULL, 19, '{"face": "cds", "change": {"rule": {"rule_id": "d385148b-042e-48ef-a3b5-6598189c688c", "priority": 2, "is_active": true, "rule_name": "same phone", "property_name": "traits.phones"}, "type": "put_rule"}}', NULL, false),
	(1, 1795904243072645, '5f767e78-1fc4-4e43-94ca-2c99bffaddc8', NULL, 'configure', NULL, 20, '{"face": "cds", "change": {"rule": {"rule_id": "da92de2e-c1ca-4f21-af21-2a66491f13c4", "priority": 3, "is_active": false, "rule_name": "same member", "property_name": "traits.member"}, "type": "put_rule"}}', NULL, false),
	(1, 1795904243166151, '2cc65023-7ba2-4aca-962c-a48db57dac05', NULL, 'configure', NULL, 21, '{"face": "admin", "change": {"type": "put_identity_type", "identity_type": {"label": "webId", "type_id": "webId"}}}', NULL, false),
	(1, 1795904243380763, 'a849867e-56a6-43f7-8bdb-655aff1b43e9', NULL, 'configure', NULL, 22, '{"face": "admin", "change": {"type": "put_identity_type", "identity_type": {"label": "loyaltyId", "type_id": "loyaltyId", "case_sensitive": true}}}', NULL, false),
	(1, 1795904243567921, 'c2bf32bc-8dab-4dcc-98c4-ed880632026c', NULL, 'configure', NULL, 23, '{"face": "admin", "change": {"type": "put_identity_type", "identity_type": {"label": "accountNumber", "type_id": "accountNumber", "conflict_blocks_merge": true}}}', NULL, false),
	(1, 1795904243781590, 'ae4a7bcb-ab0b-405c-bc80-6f43f6cf99b4', NULL, 'configure', NULL, 24, '{"face": "admin", "change": {"type": "put_identity_type", "identity_type": {"label": "memberNumber", "type_id": "memberNumber", "blocked_values": ["12345", "Guest"]}}}', NULL, false),
	(2, 1795904243982262, '98bebc24-1c38-4d38-8a98-ea469a0fd64d', NULL, 'configure', NULL, 1, '{"face": "admin", "change": {"type": "several", "changes": [{"type": "put_identity_type", "identity_type": {"label": "webId", "type_id": "webId"}}, {"type": "put_identity_type", "identity_type": {"label": "loyaltyId", "type_id": "loyaltyId", "case_sensitive": true}}, {"type": "put_identity_type", "identity_type": {"label": "memberNumber", "type_id": "memberNumber", "blocked_values": ["12345", "Guest"]}}, {"type": "put_identity_type", "identity_type": {"label": "accountNumber", "type_id": "accountNumber", "conflict_blocks_merge": true}}, {"type": "put_dataset_settings", "settings": {"label": "Web shop", "enable_remember_me_user_ids": true, "remember_me_user_ids_millis": 315360000000}}]}}', NULL, false),
	(1, 1795904244053485, '4c77763e-c37a-4b6c-8188-dc1a9541f720', NULL, 'configure', NULL, 25, '{"face": "admin", "change": {"type": "several", "changes": [{"type": "put_attributes", "attributes": [{"value_type": "string", "attribute_id": "a2d3d0d9-3914-45cb-af70-89c173038723", "display_name": "webId", "attribute_name": "identity_attributes.webId", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "2cf9fbcc-119f-4ab5-b550-a97835e40288", "display_name": "loyaltyId", "attribute_name": "identity_attributes.loyaltyId", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "d92ab0fe-cbc2-404a-a658-8430f979fd0c", "display_name": "accountNumber", "attribute_name": "identity_attributes.accountNumber", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "6345519b-019b-476f-8233-f7f52688483c", "display_name": "memberNumber", "attribute_name": "identity_attributes.memberNumber", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "4aea8b02-f1b6-4745-8de7-53cc0863c3cb", "display_name": "Email Address", "attribute_name": "identity_attributes.emailAddress", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "9bac61aa-e90a-46b0-a0ef-6e2d17bf142e", "display_name": "Customer ID", "attribute_name": "identity_attributes.customerId", "merge_strategy": "latest"}]}, {"type": "put_identity_attributes", "identity_attributes": [{"name": "webId", "type_id": "webId", "attribute": "identity_attributes.webId"}, {"name": "loyaltyId", "type_id": "loyaltyId", "attribute": "identity_attributes.loyaltyId"}, {"name": "accountNumber", "type_id": "accountNumber", "attribute": "identity_attributes.accountNumber"}, {"name": "memberNumber", "type_id": "memberNumber", "attribute": "identity_attributes.memberNumber"}, {"name": "emailAddress", "type_id": "emailAddress", "attribute": "identity_attributes.emailAddress"}, {"name": "customerId", "type_id": "customerId", "attribute": "identity_attributes.customerId"}]}]}}', NULL, false),
	(1, 1795904244571427, 'd3eb850a-8f93-4c21-b619-bbbf964ae951', NULL, 'configure', NULL, 26, '{"face": "admin", "change": {"type": "several", "changes": [{"type": "put_channels", "channels": {"Web": "webId"}}]}}', NULL, false),
	(2, 1795904244806635, 'd4b5788f-bbd4-415d-b66a-2e4ffe036834', NULL, 'configure', NULL, 2, '{"face": "admin", "change": {"type": "several", "changes": [{"type": "put_attributes", "attributes": [{"value_type": "string", "attribute_id": "c1a9b316-fead-4e4c-b81c-481fd475791e", "display_name": "webId", "attribute_name": "identity_attributes.webId", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "9fba1092-ef6e-440b-a1e9-cea3d94075f0", "display_name": "loyaltyId", "attribute_name": "identity_attributes.loyaltyId", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "620e24f7-f505-4085-87bc-28eeb53b9e28", "display_name": "accountNumber", "attribute_name": "identity_attributes.accountNumber", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "de4422c5-cac4-4726-b727-e538669aa058", "display_name": "memberNumber", "attribute_name": "identity_attributes.memberNumber", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "a8286e15-556d-47ed-a3e6-1e4004e3857e", "display_name": "Email Address", "attribute_name": "identity_attributes.emailAddress", "merge_strategy": "latest"}, {"value_type": "string", "attribute_id": "3710917a-b827-4b01-9a02-374cf3608579", "display_name": "Customer ID", "attribute_name": "identity_attributes.customerId", "merge_strategy": "latest"}]}, {"type": "put_identity_attributes", "identity_attributes": [{"name": "webId", "type_id": "webId", "attribute": "identity_attributes.webId"}, {"name": "loyaltyId", "type_id": "loyaltyId", "attribute": "identity_attributes.loyaltyId"}, {"name": "accountNumber", "type_id": "accountNumber", "attribute": "identity_attributes.accountNumber"}, {"name": "memberNumber", "type_id": "memberNumber", "attribute": "identity_attributes.memberNumber"}, {"name": "emailAddress", "type_id": "emailAddress", "attribute": "identity_attributes.emailAddress"}, {"name": "customerId", "type_id": "customerId", "attribute": "identity_attributes.customerId"}]}]}}', NULL, false),
	(2, 1795904245063041, 'b9c4ffde-c496-4078-b7b4-0b5d63e2e940', NULL, 'configure', NULL, 3, '{"face": "admin", "change": {"type": "several", "changes": [{"type": "put_channels", "channels": {"Web": "webId"}}]}}', NULL, false),
	(1, 1795904245340578, 'a54ccd3f-c26d-4c5e-a188-53dc79ee1074', '9591149c-e58b-474f-ba88-b692bf312fab', 'write', NULL, 26, '{"face": "cds", "kind": "write", "values": {"traits": {"vip": true, "home": {"city": "Galle", "street": "1 Fort Road"}, "plan": "gold", "score": 1.5, "visits": 3, "loyalty": "L-1", "last_order": "2025-03-04T05:06:07Z", "member_since": "2025-02-03"}, "identity_attributes": {"emailaddress": "ann@acme.example"}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "d454c894-bca6-47bf-9bcf-cf492064d0d7", "namespace": "tracker"}, {"value": "user-ann", "namespace": "user_id"}], "new_profile_id": "9591149c-e58b-474f-ba88-b692bf312fab", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}', '{"claims": [{"value": "user-ann", "namespace": "user_id"}, {"value": "l-1", "namespace": "traits.loyalty"}], "creates": true, "devices": [{"value": "d454c894-bca6-47bf-9bcf-cf492064d0d7", "namespace": "tracker"}], "user_id": "user-ann", "profile_id": "9591149c-e58b-474f-ba88-b692bf312fab", "survivor_id": "9591149c-e58b-474f-ba88-b692bf312fab"}', false),
	(1, 1795904245791558, 'f16fdce6-e8f6-4706-b657-f2954d457011', '1317e1f6-4987-431e-81de-7fe5e0c35190', 'write', NULL, 26, '{"face": "cds", "kind": "write", "values": {"traits": {"phones": ["+94 1"], "loyalty": " l-1", "interests": ["tea"]}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "93a00760-2edc-49b9-a34f-9f99cf9d911a", "namespace": "tracker"}], "new_profile_id": "1317e1f6-4987-431e-81de-7fe5e0c35190", "observation_id": "f16fdce6-e8f6-4706-b657-f2954d457011"}', '{"claims": [{"value": "+94 1", "namespace": "traits.phones"}], "merges": [{"reason": "same loyalty card", "identifier": {"value": "l-1", "namespace": "traits.loyalty"}, "absorbed_id": "1317e1f6-4987-431e-81de-7fe5e0c35190"}], "creates": true, "devices": [{"value": "93a00760-2edc-49b9-a34f-9f99cf9d911a", "namespace": "tracker"}], "profile_id": "1317e1f6-4987-431e-81de-7fe5e0c35190", "survivor_id": "9591149c-e58b-474f-ba88-b692bf312fab"}', false),
	(1, 1795904246239256, '087c4ff6-8b61-4e1f-be56-f76c0ee72957', 'daac15bc-9c6d-4d9b-ae5b-4c2748e9442a', 'write', NULL, 26, '{"face": "cds", "kind": "write", "values": {"traits": {"phones": ["+94 2", "+94 1"], "interests": ["rain"]}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "bc3b56b2-ca78-4a58-bc61-b63b1c5c4430", "namespace": "tracker"}], "new_profile_id": "daac15bc-9c6d-4d9b-ae5b-4c2748e9442a", "observation_id": "087c4ff6-8b61-4e1f-be56-f76c0ee72957"}', '{"claims": [{"value": "+94 2", "namespace": "traits.phones"}], "merges": [{"reason": "same phone", "identifier": {"value": "+94 1", "namespace": "traits.phones"}, "absorbed_id": "daac15bc-9c6d-4d9b-ae5b-4c2748e9442a"}], "creates": true, "devices": [{"value": "bc3b56b2-ca78-4a58-bc61-b63b1c5c4430", "namespace": "tracker"}], "profile_id": "daac15bc-9c6d-4d9b-ae5b-4c2748e9442a", "survivor_id": "9591149c-e58b-474f-ba88-b692bf312fab"}', false),
	(1, 1795904246439137, '62cf5dea-4424-4f41-9bcd-fe0827a43a70', '9591149c-e58b-474f-ba88-b692bf312fab', 'write', NULL, 26, '{"face": "cds", "kind": "write", "values": {"application_data": {"acme-backend": {"theme": "dark", "basket": 4}}}, "profile_id": "9591149c-e58b-474f-ba88-b692bf312fab", "application": "acme-backend", "new_profile_id": "7f9d223b-4798-48c4-8e62-4ec42f7c0e17", "observation_id": "62cf5dea-4424-4f41-9bcd-fe0827a43a70"}', NULL, false),
	(1, 1795904247959067, 'efc13ed3-3273-4af9-ae70-3d413f23c590', '9591149c-e58b-474f-ba88-b692bf312fab', 'write', NULL, 26, '{"face": "cds", "kind": "write", "values": {"application_data": {"shop": {"basket": 7}}}, "profile_id": "9591149c-e58b-474f-ba88-b692bf312fab", "application": "shop", "new_profile_id": "d4c3f20f-9060-401b-b319-64896c8ef21c", "observation_id": "efc13ed3-3273-4af9-ae70-3d413f23c590"}', NULL, false),
	(1, 1795904248070329, '3e760c09-908e-430e-a71e-3aa414cbd20d', '23de921e-daef-430d-915c-4ef1548d9ed2', 'write', NULL, 26, '{"face": "cds", "kind": "write", "values": {"traits": {"plan": "trial", "loyalty": "L-2"}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "8aa552cf-72fe-4a5a-842b-b4d673c8e01f", "namespace": "tracker"}, {"value": "user-bob", "namespace": "user_id"}], "new_profile_id": "23de921e-daef-430d-915c-4ef1548d9ed2", "observation_id": "3e760c09-908e-430e-a71e-3aa414cbd20d"}', '{"claims": [{"value": "user-bob", "namespace": "user_id"}, {"value": "l-2", "namespace": "traits.loyalty"}], "creates": true, "devices": [{"value": "8aa552cf-72fe-4a5a-842b-b4d673c8e01f", "namespace": "tracker"}], "user_id": "user-bob", "profile_id": "23de921e-daef-430d-915c-4ef1548d9ed2", "survivor_id": "23de921e-daef-430d-915c-4ef1548d9ed2"}', false),
	(1, 1795904248149846, 'ec8066b7-dcf6-4bdf-93d0-a051b441c535', '0a2481ef-2fff-4bd7-980b-3306e53b74a9', 'write', NULL, 26, '{"face": "cds", "kind": "write", "values": {"traits": {"plan": "silver", "loyalty": "L-2"}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "3f4d49a8-bfb5-4209-aeff-bb2d72ae099d", "namespace": "tracker"}, {"value": "user-cay", "namespace": "user_id"}], "new_profile_id": "0a2481ef-2fff-4bd7-980b-3306e53b74a9", "observation_id": "ec8066b7-dcf6-4bdf-93d0-a051b441c535"}', '{"claims": [{"value": "user-cay", "namespace": "user_id"}, {"value": "l-2", "namespace": "traits.loyalty"}], "creates": true, "devices": [{"value": "3f4d49a8-bfb5-4209-aeff-bb2d72ae099d", "namespace": "tracker"}], "user_id": "user-cay", "refusals": [{"code": "different_user", "other_id": "23de921e-daef-430d-915c-4ef1548d9ed2"}], "profile_id": "0a2481ef-2fff-4bd7-980b-3306e53b74a9", "survivor_id": "0a2481ef-2fff-4bd7-980b-3306e53b74a9"}', false),
	(1, 1795904248242885, 'db6f5554-35c0-4f65-8dc6-d7f9099d78c5', '3b857976-8087-4490-9c1d-59907b2021d6', 'write', NULL, 26, '{"face": "cds", "kind": "write", "values": {"traits": {"home": {"city": "Kandy", "street": "9"}, "plan": "basic"}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "1eab9768-0df2-485b-8695-fd957b7f5650", "namespace": "tracker"}, {"value": "user-dan", "namespace": "user_id"}], "new_profile_id": "3b857976-8087-4490-9c1d-59907b2021d6", "observation_id": "db6f5554-35c0-4f65-8dc6-d7f9099d78c5"}', '{"claims": [{"value": "user-dan", "namespace": "user_id"}], "creates": true, "devices": [{"value": "1eab9768-0df2-485b-8695-fd957b7f5650", "namespace": "tracker"}], "user_id": "user-dan", "profile_id": "3b857976-8087-4490-9c1d-59907b2021d6", "survivor_id": "3b857976-8087-4490-9c1d-59907b2021d6"}', false),
	(1, 1795904248310044, 'a074dbc0-2814-4148-b6ce-5e803e29df5e', 'c69337ba-d3db-4765-9415-b12c68a5b35b', 'write', NULL, 26, '{"face": "cds", "kind": "write", "values": {"traits": {"home": {"city": "kandy", "street": "10"}, "visits": 2}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "d146dd72-d447-4b84-b8ec-8e12007b41e7", "namespace": "tracker"}], "new_profile_id": "c69337ba-d3db-4765-9415-b12c68a5b35b", "observation_id": "a074dbc0-2814-4148-b6ce-5e803e29df5e"}', '{"creates": true, "devices": [{"value": "d146dd72-d447-4b84-b8ec-8e12007b41e7", "namespace": "tracker"}], "profile_id": "c69337ba-d3db-4765-9415-b12c68a5b35b", "survivor_id": "c69337ba-d3db-4765-9415-b12c68a5b35b"}', false),
	(1, 1795904248373034, '4473fef0-df2e-4a76-9da7-260bb934ec42', NULL, 'configure', NULL, 27, '{"face": "cds", "change": {"rule": {"rule_id": "fc6ec19b-dc3f-45c7-8c0b-931abec64452", "priority": 4, "is_active": true, "rule_name": "same city", "property_name": "traits.home.city"}, "type": "put_rule"}}', NULL, false),
	(1, 1795904250475625, '679dab3d-a316-419a-9575-2dca5fa65072', '3b857976-8087-4490-9c1d-59907b2021d6', 'match', NULL, 27, '{"face": "rules", "kind": "match", "profile_id": "3b857976-8087-4490-9c1d-59907b2021d6", "identifiers": [{"value": "kandy", "namespace": "traits.home.city"}], "new_profile_id": "0a3fc911-944b-416c-acd3-d336f6a4af51", "observation_id": "679dab3d-a316-419a-9575-2dca5fa65072"}', '{"claims": [{"value": "kandy", "namespace": "traits.home.city"}], "profile_id": "3b857976-8087-4490-9c1d-59907b2021d6", "survivor_id": "3b857976-8087-4490-9c1d-59907b2021d6"}', false),
	(1, 1795904250475626, 'af899724-fe61-4239-9d21-60dfcf1b5dd4', '9591149c-e58b-474f-ba88-b692bf312fab', 'match', NULL, 27, '{"face": "rules", "kind": "match", "profile_id": "9591149c-e58b-474f-ba88-b692bf312fab", "identifiers": [{"value": "galle", "namespace": "traits.home.city"}], "new_profile_id": "d72a1456-c620-42e0-9589-0ab3d9979d9f", "observation_id": "af899724-fe61-4239-9d21-60dfcf1b5dd4"}', '{"claims": [{"value": "galle", "namespace": "traits.home.city"}], "profile_id": "9591149c-e58b-474f-ba88-b692bf312fab", "survivor_id": "9591149c-e58b-474f-ba88-b692bf312fab"}', false),
	(1, 1795904250475627, 'a3299b15-d042-4039-bbb9-6a6c6980e95f', '3b857976-8087-4490-9c1d-59907b2021d6', 'match', NULL, 27, '{"face": "rules", "kind": "match", "profile_id": "c69337ba-d3db-4765-9415-b12c68a5b35b", "identifiers": [{"value": "kandy", "namespace": "traits.home.city"}], "new_profile_id": "334ef0f9-e069-42e8-be8c-3a86a626c0a0", "observation_id": "a3299b15-d042-4039-bbb9-6a6c6980e95f"}', '{"merges": [{"reason": "same city", "identifier": {"value": "kandy", "namespace": "traits.home.city"}, "absorbed_id": "c69337ba-d3db-4765-9415-b12c68a5b35b"}], "profile_id": "3b857976-8087-4490-9c1d-59907b2021d6", "survivor_id": "3b857976-8087-4490-9c1d-59907b2021d6"}', false),
	(1, 1795904250735307, 'c5103d62-bc4f-4c82-883b-189f21f39d12', '981bf847-6f6a-4441-9a19-abea8568d4dd', 'write', NULL, 27, '{"face": "cds", "kind": "write", "values": {"traits": {"plan": "anonymous", "interests": ["tea", "rain"]}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "041a6e52-460a-49cc-86a5-f37ab6022c1c", "namespace": "tracker"}], "new_profile_id": "981bf847-6f6a-4441-9a19-abea8568d4dd", "observation_id": "c5103d62-bc4f-4c82-883b-189f21f39d12"}', '{"creates": true, "devices": [{"value": "041a6e52-460a-49cc-86a5-f37ab6022c1c", "namespace": "tracker"}], "profile_id": "981bf847-6f6a-4441-9a19-abea8568d4dd", "survivor_id": "981bf847-6f6a-4441-9a19-abea8568d4dd"}', false),
	(1, 1795904250846863, 'ac308c21-9e69-4359-be95-f677310c4a7e', '981bf847-6f6a-4441-9a19-abea8568d4dd', 'write', NULL, 27, '{"face": "cds", "kind": "write", "values": {"traits": {"plan": null, "visits": 1}}, "profile_id": "981bf847-6f6a-4441-9a19-abea8568d4dd", "application": "acme-backend", "new_profile_id": "4678cc85-5651-4bfa-97a3-55798866ad6b", "observation_id": "ac308c21-9e69-4359-be95-f677310c4a7e"}', NULL, false),
	(1, 1795904250981247, '34049624-8f5c-45f8-81dc-70a32711d09e', NULL, 'configure', NULL, 28, '{"face": "cds", "change": {"type": "put_category", "category": {"purpose": "personalization", "attributes": [{"attribute_name": "traits.plan"}, {"attribute_name": "traits.visits"}], "category_name": "personalised offers", "category_identifier": "ca0a5180-5483-42dd-a2ab-587971f8e202"}}}', NULL, false),
	(1, 1795904251163415, 'cda91b1d-7ac3-45bd-8627-5fec10abab26', NULL, 'configure', NULL, 29, '{"face": "cds", "change": {"type": "put_category", "category": {"purpose": "personalization", "attributes": [{"attribute_name": "application_data.basket", "application_identifier": "shop"}], "category_name": "basket reminders", "category_identifier": "99de5d54-dadf-4775-bdf6-324a022bb16d"}}}', NULL, false),
	(1, 1795904251377435, 'c71313fd-ea57-43b8-8c63-f77ed5d17e30', '9591149c-e58b-474f-ba88-b692bf312fab', 'consent', NULL, 29, '{"face": "cds", "kind": "consent", "consents": {"99de5d54-dadf-4775-bdf6-324a022bb16d": [true, 1795904251251852], "ca0a5180-5483-42dd-a2ab-587971f8e202": [true, 1795904251251852]}, "profile_id": "9591149c-e58b-474f-ba88-b692bf312fab", "application": "acme-backend", "new_profile_id": "59f4286e-e85b-4af7-8be4-f71345feb1c6", "observation_id": "c71313fd-ea57-43b8-8c63-f77ed5d17e30"}', NULL, false),
	(1, 1795904251518226, '9a7b50b4-4068-462a-89a2-bba8751280fa', '23de921e-daef-430d-915c-4ef1548d9ed2', 'consent', NULL, 29, '{"face": "cds", "kind": "consent", "consents": {"ca0a5180-5483-42dd-a2ab-587971f8e202": [false, 1795904251476692]}, "profile_id": "23de921e-daef-430d-915c-4ef1548d9ed2", "application": "acme-backend", "new_profile_id": "eda9031d-08ff-4a08-a72a-b711cc6977b3", "observation_id": "9a7b50b4-4068-462a-89a2-bba8751280fa"}', NULL, false),
	(2, 1795904251858391, '358f8e34-4410-4b14-bdb6-e1727309516c', '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'event', 'View', 3, '{"body": {"user": {"anonymousId": "a1b2c3d4e5f60718"}, "source": {"time": 1795897051626}, "interaction": {"name": "View"}}, "face": "interactions", "kind": "event", "name": "View", "trust": "browser", "channel": "Web", "authority": "event", "identifiers": [{"value": "a1b2c3d4e5f60718", "namespace": "anonymous_id"}], "occurred_at": 1795897051626000, "received_at": 1795904251768518, "new_profile_id": "511dfc2e-3060-4748-bd08-c7d4d853a7e8", "observation_id": "358f8e34-4410-4b14-bdb6-e1727309516c"}', '{"creates": true, "devices": [{"value": "a1b2c3d4e5f60718", "namespace": "anonymous_id"}], "profile_id": "511dfc2e-3060-4748-bd08-c7d4d853a7e8", "survivor_id": "511dfc2e-3060-4748-bd08-c7d4d853a7e8"}', false),
	(2, 1795904252002298, 'c0ab38c7-0e3f-4ee4-9628-29577c7cebc3', '58cdb9f1-00a3-4d2d-a337-0e4820113486', 'event', 'View', 3, '{"body": {"user": {"anonymousId": "0817f6e5d4c3b2a1"}, "source": {"time": 1795897111626}, "interaction": {"name": "View"}}, "face": "interactions", "kind": "event", "name": "View", "trust": "browser", "channel": "Web", "authority": "event", "identifiers": [{"value": "0817f6e5d4c3b2a1", "namespace": "anonymous_id"}], "occurred_at": 1795897111626000, "received_at": 1795904251963693, "new_profile_id": "58cdb9f1-00a3-4d2d-a337-0e4820113486", "observation_id": "c0ab38c7-0e3f-4ee4-9628-29577c7cebc3"}', '{"creates": true, "devices": [{"value": "0817f6e5d4c3b2a1", "namespace": "anonymous_id"}], "profile_id": "58cdb9f1-00a3-4d2d-a337-0e4820113486", "survivor_id": "58cdb9f1-00a3-4d2d-a337-0e4820113486"}', false);
INSERT INTO oneself.log VALUES
	(2, 1795904252179568, '06479b58-f7df-4a8c-a8c1-81392e40a9b9', '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'event', 'View', 3, '{"body": {"user": {"id": "web-fay", "attributes": {"emailAddress": "fay@acme.example"}, "anonymousId": "a1b2c3d4e5f60718"}, "source": {"time": 1795897171626}, "interaction": {"name": "View"}}, "face": "interactions", "kind": "event", "name": "View", "trust": "browser", "channel": "Web", "authority": "event", "identifiers": [{"value": "a1b2c3d4e5f60718", "namespace": "anonymous_id"}, {"value": "fay@acme.example", "namespace": "emailAddress"}, {"value": "web-fay", "namespace": "webId"}], "occurred_at": 1795897171626000, "received_at": 1795904252115600, "new_profile_id": "9db02bb1-9548-4787-bda0-f81d2aff3b98", "observation_id": "06479b58-f7df-4a8c-a8c1-81392e40a9b9"}', '{"claims": [{"value": "fay@acme.example", "namespace": "emailAddress"}, {"value": "web-fay", "namespace": "webId"}], "promotes": true, "profile_id": "511dfc2e-3060-4748-bd08-c7d4d853a7e8", "survivor_id": "511dfc2e-3060-4748-bd08-c7d4d853a7e8"}', false),
	(2, 1795904252326885, 'af9ef95a-2725-46a9-a218-f394b211d2ae', '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'event', 'View', 3, '{"body": {"user": {"identities": {"emailAddress": "FAY@acme.example"}, "anonymousId": "0817f6e5d4c3b2a1"}, "source": {"time": 1795897231626}, "interaction": {"name": "View"}}, "face": "interactions", "kind": "event", "name": "View", "trust": "browser", "channel": "Web", "authority": "event", "identifiers": [{"value": "0817f6e5d4c3b2a1", "namespace": "anonymous_id"}, {"value": "FAY@acme.example", "namespace": "emailAddress"}], "occurred_at": 1795897231626000, "received_at": 1795904252260496, "new_profile_id": "e231345e-b9a9-4baf-abef-4ea72be2e5ce", "observation_id": "af9ef95a-2725-46a9-a218-f394b211d2ae"}', '{"merges": [{"reason": "identity:emailAddress", "identifier": {"value": "fay@acme.example", "namespace": "emailAddress"}, "absorbed_id": "58cdb9f1-00a3-4d2d-a337-0e4820113486"}], "profile_id": "511dfc2e-3060-4748-bd08-c7d4d853a7e8", "survivor_id": "511dfc2e-3060-4748-bd08-c7d4d853a7e8"}', false),
	(1, 1795904255636884, '76c2e57b-92d6-478c-8567-d8b1b8b0c676', '94b45d94-a988-4cbe-ae22-33f7f61b64d1', 'sign_in', NULL, 29, '{"face": "sign-in", "kind": "sign_in", "values": {"identity_attributes": {"userid": "8f2816a5-2ef4-407a-8abb-3230aef97104", "lastname": "Archer", "username": "ivy@acme.example", "givenname": "Ann", "emailaddress": "ivy@acme.example"}}, "authority": "identity_server", "application": "portal", "identifiers": [{"value": "8f2816a5-2ef4-407a-8abb-3230aef97104", "namespace": "user_id"}, {"value": "4b582704-22dc-4b3e-a54a-f70eb8165510", "namespace": "tracker"}], "new_profile_id": "7e34dea8-7644-4ffb-a7cd-deac297db747", "observation_id": "76c2e57b-92d6-478c-8567-d8b1b8b0c676"}', '{"claims": [{"value": "8f2816a5-2ef4-407a-8abb-3230aef97104", "namespace": "user_id"}], "user_id": "8f2816a5-2ef4-407a-8abb-3230aef97104", "promotes": true, "profile_id": "94b45d94-a988-4cbe-ae22-33f7f61b64d1", "survivor_id": "94b45d94-a988-4cbe-ae22-33f7f61b64d1"}', false),
	(2, 1795904252467554, '7722b645-64b6-4d25-ae08-dda08c345807', '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'event', 'Purchase', 3, '{"body": {"user": {"identities": {"loyaltyId": "F-1"}, "anonymousId": "a1b2c3d4e5f60718"}, "source": {"time": 1795897291626}, "interaction": {"name": "Purchase", "order": {"id": "O-1", "lineItems": [{"price": 20.75, "quantity": 2, "catalogObjectId": "P-1", "catalogObjectType": "Product"}], "totalValue": 41.5}}}, "face": "interactions", "kind": "event", "name": "Purchase", "trust": "browser", "channel": "Web", "authority": "event", "remembered": {"sealed_at": 1795904252248000, "identities": {"webId": "web-fay", "emailAddress": "fay@acme.example"}, "primary_id": "511dfc2e30604748bd08c7d4"}, "identifiers": [{"value": "a1b2c3d4e5f60718", "namespace": "anonymous_id"}, {"value": "F-1", "namespace": "loyaltyId"}], "occurred_at": 1795897291626000, "received_at": 1795904252448073, "new_profile_id": "0af8c50d-f0d7-40a6-b4cc-c69e31c06747", "observation_id": "7722b645-64b6-4d25-ae08-dda08c345807"}', '{"claims": [{"value": "F-1", "namespace": "loyaltyId"}], "profile_id": "511dfc2e-3060-4748-bd08-c7d4d853a7e8", "survivor_id": "511dfc2e-3060-4748-bd08-c7d4d853a7e8"}', false),
	(2, 1795904252567645, 'e62a0333-3874-4041-af19-a822956f6c13', '4a993052-4e2e-4d84-a74a-e749365a2ba8', 'event', 'View', 3, '{"body": {"user": {"identities": {"emailAddress": "guy@acme.example", "accountNumber": "A-1"}, "anonymousId": "a302bfe70226ebbd"}, "source": {"time": 1795897051626}, "interaction": {"name": "View"}}, "face": "interactions", "kind": "event", "name": "View", "trust": "browser", "channel": "Web", "authority": "event", "identifiers": [{"value": "a302bfe70226ebbd", "namespace": "anonymous_id"}, {"value": "A-1", "namespace": "accountNumber"}, {"value": "guy@acme.example", "namespace": "emailAddress"}], "occurred_at": 1795897051626000, "received_at": 1795904252536210, "new_profile_id": "4a993052-4e2e-4d84-a74a-e749365a2ba8", "observation_id": "e62a0333-3874-4041-af19-a822956f6c13"}', '{"claims": [{"value": "a-1", "namespace": "accountNumber"}, {"value": "guy@acme.example", "namespace": "emailAddress"}], "creates": true, "devices": [{"value": "a302bfe70226ebbd", "namespace": "anonymous_id"}], "profile_id": "4a993052-4e2e-4d84-a74a-e749365a2ba8", "survivor_id": "4a993052-4e2e-4d84-a74a-e749365a2ba8"}', false),
	(2, 1795904252658829, '1d407c99-1b1a-42e2-906e-506b5ed5ef0b', '764d14d3-40d5-4b14-8f83-336a39bbe615', 'event', 'View', 3, '{"body": {"user": {"identities": {"accountNumber": "A-2"}, "anonymousId": "b39d909954ec9602"}, "source": {"time": 1795897111626}, "interaction": {"name": "View"}}, "face": "interactions", "kind": "event", "name": "View", "trust": "browser", "channel": "Web", "authority": "event", "identifiers": [{"value": "b39d909954ec9602", "namespace": "anonymous_id"}, {"value": "A-2", "namespace": "accountNumber"}], "occurred_at": 1795897111626000, "received_at": 1795904252643530, "new_profile_id": "764d14d3-40d5-4b14-8f83-336a39bbe615", "observation_id": "1d407c99-1b1a-42e2-906e-506b5ed5ef0b"}', '{"claims": [{"value": "a-2", "namespace": "accountNumber"}], "creates": true, "devices": [{"value": "b39d909954ec9602", "namespace": "anonymous_id"}], "profile_id": "764d14d3-40d5-4b14-8f83-336a39bbe615", "survivor_id": "764d14d3-40d5-4b14-8f83-336a39bbe615"}', false),
	(2, 1795904252859258, 'a185acb3-7278-417a-a2e0-cb3b6aa48faa', '764d14d3-40d5-4b14-8f83-336a39bbe615', 'event', 'View', 3, '{"body": {"user": {"identities": {"emailAddress": "guy@acme.example", "accountNumber": "A-2"}, "anonymousId": "354d46c710bec663"}, "source": {"time": 1795897171626}, "interaction": {"name": "View"}}, "face": "interactions", "kind": "event", "name": "View", "trust": "browser", "channel": "Web", "authority": "event", "identifiers": [{"value": "354d46c710bec663", "namespace": "anonymous_id"}, {"value": "A-2", "namespace": "accountNumber"}, {"value": "guy@acme.example", "namespace": "emailAddress"}], "occurred_at": 1795897171626000, "received_at": 1795904252843684, "new_profile_id": "096ade8d-25aa-4a6d-8ce6-2c55c9eaddf0", "observation_id": "a185acb3-7278-417a-a2e0-cb3b6aa48faa"}', '{"devices": [{"value": "354d46c710bec663", "namespace": "anonymous_id"}], "refusals": [{"code": "conflicting_identity", "other_id": "4a993052-4e2e-4d84-a74a-e749365a2ba8", "namespace": "accountNumber"}], "profile_id": "764d14d3-40d5-4b14-8f83-336a39bbe615", "survivor_id": "764d14d3-40d5-4b14-8f83-336a39bbe615"}', false),
	(2, 1795904252953014, '9e6bcf5e-a279-47e2-bc4d-ce7bfc68cbbd', 'a5a1a81b-413f-4ae1-9b6b-2122dc0ec955', 'event', 'View', 3, '{"body": {"user": {"anonymousId": "00112233445566aa"}, "source": {"time": 1795897051626}, "consents": [{"status": "Opt Out", "purpose": "Personalization", "provider": "page"}], "interaction": {"name": "View"}}, "face": "interactions", "kind": "event", "name": "View", "trust": "browser", "channel": "Web", "choices": {"event/Personalization/page": [false, 1795897051626000]}, "authority": "event", "identifiers": [{"value": "00112233445566aa", "namespace": "anonymous_id"}], "occurred_at": 1795897051626000, "received_at": 1795904252947396, "new_profile_id": "a5a1a81b-413f-4ae1-9b6b-2122dc0ec955", "observation_id": "9e6bcf5e-a279-47e2-bc4d-ce7bfc68cbbd"}', '{"creates": true, "devices": [{"value": "00112233445566aa", "namespace": "anonymous_id"}], "profile_id": "a5a1a81b-413f-4ae1-9b6b-2122dc0ec955", "survivor_id": "a5a1a81b-413f-4ae1-9b6b-2122dc0ec955"}', false),
	(2, 1795904253023556, '3fec34ab-0df9-441f-a506-41cb5e2ff546', 'af25ef82-dbce-4993-aaf6-1dd8849a8713', 'event', 'View', 3, '{"body": {"user": {"attributes": {"emailAddress": "hal@acme.example"}, "customerId": "C-1"}, "source": {"time": 1795897051626, "channel": "Server"}, "explain": true, "interaction": {"name": "View"}}, "face": "interactions", "kind": "event", "name": "View", "channel": "Server", "authority": "event", "application": "acme-backend", "identifiers": [{"value": "hal@acme.example", "namespace": "emailAddress"}], "occurred_at": 1795897051626000, "received_at": 1795904253019642, "new_profile_id": "af25ef82-dbce-4993-aaf6-1dd8849a8713", "observation_id": "3fec34ab-0df9-441f-a506-41cb5e2ff546", "new_anonymous_id": "e385b6deb301f89f"}', '{"claims": [{"value": "hal@acme.example", "namespace": "emailAddress"}], "creates": true, "profile_id": "af25ef82-dbce-4993-aaf6-1dd8849a8713", "survivor_id": "af25ef82-dbce-4993-aaf6-1dd8849a8713"}', false),
	(1, 1795904253113427, '2b638b33-ac94-47b8-9916-6806aa2cfa5e', '94b45d94-a988-4cbe-ae22-33f7f61b64d1', 'write', NULL, 29, '{"face": "cds", "kind": "write", "values": {"traits": {"plan": "trial"}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "4b582704-22dc-4b3e-a54a-f70eb8165510", "namespace": "tracker"}], "new_profile_id": "94b45d94-a988-4cbe-ae22-33f7f61b64d1", "observation_id": "2b638b33-ac94-47b8-9916-6806aa2cfa5e"}', '{"creates": true, "devices": [{"value": "4b582704-22dc-4b3e-a54a-f70eb8165510", "namespace": "tracker"}], "profile_id": "94b45d94-a988-4cbe-ae22-33f7f61b64d1", "survivor_id": "94b45d94-a988-4cbe-ae22-33f7f61b64d1"}', false),
	(1, 1795904257445782, '034ba2e5-5012-45ab-85f6-5058ec940bab', 'c79414d7-2759-4760-b901-88ac740bd437', 'write', NULL, 29, '{"face": "cds", "kind": "write", "values": {"traits": {"plan": "once"}}, "creates": true, "application": "acme-backend", "identifiers": [{"value": "15ebfb1f-a02e-4e8c-9884-4e928a01830d", "namespace": "tracker"}], "new_profile_id": "c79414d7-2759-4760-b901-88ac740bd437", "observation_id": "034ba2e5-5012-45ab-85f6-5058ec940bab"}', '{"creates": true, "devices": [{"value": "15ebfb1f-a02e-4e8c-9884-4e928a01830d", "namespace": "tracker"}], "profile_id": "c79414d7-2759-4760-b901-88ac740bd437", "survivor_id": "c79414d7-2759-4760-b901-88ac740bd437"}', false),
	(1, 1795904257649924, '9fb8d285-0250-4497-91c6-58bb4e2be82b', NULL, 'erase', NULL, 29, '{"face": "admin", "entries": 1, "application": "acme-backend", "identifiers": 2, "profile_ids": ["3e377c25-e3eb-4f14-b61a-d8da4a1d5816"]}', NULL, false),
	(2, 1795904258017859, '5ef557b5-25cb-4eda-8724-834342308765', NULL, 'erase', NULL, 3, '{"face": "interactions", "entries": 1, "application": "acme-backend", "identifiers": 2, "profile_ids": ["47c95fe5-165a-424e-a72b-d7863d2aeb2a"]}', NULL, false);

INSERT INTO oneself.merge VALUES
	(1, '1317e1f6-4987-431e-81de-7fe5e0c35190', 1795904245791558, '9591149c-e58b-474f-ba88-b692bf312fab', 'same loyalty card', 'traits.loyalty', 'l-1', 'f16fdce6-e8f6-4706-b657-f2954d457011'),
	(1, 'daac15bc-9c6d-4d9b-ae5b-4c2748e9442a', 1795904246239256, '9591149c-e58b-474f-ba88-b692bf312fab', 'same phone', 'traits.phones', '+94 1', '087c4ff6-8b61-4e1f-be56-f76c0ee72957'),
	(1, 'c69337ba-d3db-4765-9415-b12c68a5b35b', 1795904250475627, '3b857976-8087-4490-9c1d-59907b2021d6', 'same city', 'traits.home.city', 'kandy', 'a3299b15-d042-4039-bbb9-6a6c6980e95f'),
	(2, '58cdb9f1-00a3-4d2d-a337-0e4820113486', 1795904252326885, '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'identity:emailAddress', 'emailAddress', 'fay@acme.example', 'af9ef95a-2725-46a9-a218-f394b211d2ae');

INSERT INTO oneself.migration VALUES
	('0001_directory', '19b1d8921def2c4f06898b5eac8aed74a5aa850a982c9f760590dee0ab9bd832', '2026-11-28 22:16:29.008674+00'),
	('0002_profiles', '178d7cde1bee4a5a7f36d3d2697f876a10fac83ef3f80db09ba3849dda7c4fb1', '2026-11-28 22:16:29.184775+00'),
	('0003_indexing', 'c838880ecef52132c365bfa1d7493cb9a9a6079b0c1ae6587b4c829b9461bca2', '2026-11-28 22:16:29.300438+00'),
	('0004_privacy', '9f8e099f65aebe640b41bb0860b14ea399bcba02ce04c12e71e86da9bc407bfb', '2026-11-28 22:16:29.33895+00'),
	('0005_identity_server', '4e5138d698f52538a1dd61010c2feb5bf730b02b5e50b7bdde9bd4844329299e', '2026-11-28 22:16:29.375038+00'),
	('0006_issuers', 'f7918b335734c2a152c85e1a1854f11fbd1573a61e1dc069fa65b0bbb40ef368', '2026-11-28 22:16:29.441149+00'),
	('0007_token_keys', 'df61f0a97479e39a1731b57109724467de76319ecead37cc35ca8a4c4db27adc', '2026-11-28 22:16:29.522873+00'),
	('0008_events', '29b4b7b3baded94ff356f999bb0e802d2632fcafdb67ff95e73421a5235b40c2', '2026-11-28 22:16:29.595043+00');

INSERT INTO oneself.oauth_grant VALUES
	(1, '9ab3de4d-dc5f-4f0e-9c55-1b960b203d7f', 'portal', '8f2816a5-2ef4-407a-8abb-3230aef97104', 'd7d7fa16-f0f6-487e-8090-62f37a28b9db', 'openid internal_cds_profile_view internal_cds_profile_update', 'nonce-of-the-shop', '2026-11-28 22:17:35.533566+00', '2026-11-28 22:17:35.661365+00', NULL);

INSERT INTO oneself.organisation OVERRIDING SYSTEM VALUE VALUES
	(1, 'acme', 'acme', '2026-11-28 22:16:29.690449+00');

INSERT INTO oneself.profile VALUES
	(1, '1317e1f6-4987-431e-81de-7fe5e0c35190', '9591149c-e58b-474f-ba88-b692bf312fab', 'same loyalty card', '1317e1f64987431e81de7fe5', NULL, '2026-11-28 22:17:25.791558+00', '2026-11-28 22:17:25.791558+00', '2026-11-28 22:17:25.791558+00', 1795904245791558, '{"traits": {"phones": ["+94 1"], "loyalty": " l-1", "interests": ["tea"]}}', '{"traits.phones": [{"at": 1795904245791558, "seq": 1795904245791558, "face": "cds", "application": "acme-backend", "observation_id": "f16fdce6-e8f6-4706-b657-f2954d457011"}], "traits.loyalty": [{"at": 1795904245791558, "seq": 1795904245791558, "face": "cds", "application": "acme-backend", "observation_id": "f16fdce6-e8f6-4706-b657-f2954d457011"}], "traits.interests": [{"at": 1795904245791558, "seq": 1795904245791558, "face": "cds", "application": "acme-backend", "observation_id": "f16fdce6-e8f6-4706-b657-f2954d457011"}]}', '{"traits.phones": ["+94 1"]}', '{}', false, '2026-11-28 22:17:25.791558+00', '[]', '2026-11-28 22:17:25.791558+00', '{}', '[]'),
	(1, 'daac15bc-9c6d-4d9b-ae5b-4c2748e9442a', '9591149c-e58b-474f-ba88-b692bf312fab', 'same phone', 'daac15bc9c6d4d9bae5b4c27', NULL, '2026-11-28 22:17:26.239256+00', '2026-11-28 22:17:26.239256+00', '2026-11-28 22:17:26.239256+00', 1795904246239256, '{"traits": {"phones": ["+94 2", "+94 1"], "interests": ["rain"]}}', '{"traits.phones": [{"at": 1795904246239256, "seq": 1795904246239256, "face": "cds", "application": "acme-backend", "observation_id": "087c4ff6-8b61-4e1f-be56-f76c0ee72957"}], "traits.interests": [{"at": 1795904246239256, "seq": 1795904246239256, "face": "cds", "application": "acme-backend", "observation_id": "087c4ff6-8b61-4e1f-be56-f76c0ee72957"}]}', '{"traits.phones": ["+94 2"]}', '{}', false, '2026-11-28 22:17:26.239256+00', '[]', '2026-11-28 22:17:26.239256+00', '{}', '[]'),
	(1, '0a2481ef-2fff-4bd7-980b-3306e53b74a9', NULL, NULL, '0a2481ef2fff4bd7980b3306', 'user-cay', '2026-11-28 22:17:28.149846+00', '2026-11-28 22:17:28.149846+00', '2026-11-28 22:17:28.149846+00', 1795904248149846, '{"traits": {"plan": "silver", "loyalty": "L-2"}}', '{"traits.plan": [{"at": 1795904248149846, "seq": 1795904248149846, "face": "cds", "application": "acme-backend", "observation_id": "ec8066b7-dcf6-4bdf-93d0-a051b441c535"}], "traits.loyalty": [{"at": 1795904248149846, "seq": 1795904248149846, "face": "cds", "application": "acme-backend", "observation_id": "ec8066b7-dcf6-4bdf-93d0-a051b441c535"}]}', '{"traits.loyalty": ["l-2"]}', '{}', false, '2026-11-28 22:17:28.149846+00', '[]', '2026-11-28 22:17:28.149846+00', '{}', '[]'),
	(1, 'c69337ba-d3db-4765-9415-b12c68a5b35b', '3b857976-8087-4490-9c1d-59907b2021d6', 'same city', 'c69337bad3db4765', NULL, '2026-11-28 22:17:28.310044+00', '2026-11-28 22:17:28.310044+00', '2026-11-28 22:17:28.310044+00', 1795904250475627, '{"traits": {"home": {"city": "kandy", "street": "10"}, "visits": 2}}', '{"traits.visits": [{"at": 1795904248310044, "seq": 1795904248310044, "face": "cds", "application": "acme-backend", "observation_id": "a074dbc0-2814-4148-b6ce-5e803e29df5e"}], "traits.home.city": [{"at": 1795904248310044, "seq": 1795904248310044, "face": "cds", "application": "acme-backend", "observation_id": "a074dbc0-2814-4148-b6ce-5e803e29df5e"}], "traits.home.street": [{"at": 1795904248310044, "seq": 1795904248310044, "face": "cds", "application": "acme-backend", "observation_id": "a074dbc0-2814-4148-b6ce-5e803e29df5e"}]}', '{}', '{}', false, '2026-11-28 22:17:28.310044+00', '[]', '2026-11-28 22:17:28.310044+00', '{}', '[]'),
	(1, '981bf847-6f6a-4441-9a19-abea8568d4dd', NULL, NULL, '981bf8476f6a4441', NULL, '2026-11-28 22:17:30.735307+00', '2026-11-28 22:17:30.846863+00', '2026-11-28 22:17:30.846863+00', 1795904250846863, '{"traits": {"visits": 1, "interests": ["tea", "rain"]}}', '{"traits.visits": [{"at": 1795904250846863, "seq": 1795904250846863, "face": "cds", "application": "acme-backend", "observation_id": "ac308c21-9e69-4359-be95-f677310c4a7e"}], "traits.interests": [{"at": 1795904250735307, "seq": 1795904250735307, "face": "cds", "application": "acme-backend", "observation_id": "c5103d62-bc4f-4c82-883b-189f21f39d12"}]}', '{}', '{}', false, '2026-11-28 22:17:30.735307+00', '[]', '2026-11-28 22:17:30.735307+00', '{}', '[]'),
	(1, '23de921e-daef-430d-915c-4ef1548d9ed2', NULL, NULL, '23de921edaef430d915c4ef1', 'user-bob', '2026-11-28 22:17:28.070329+00', '2026-11-28 22:17:31.518226+00', '2026-11-28 22:17:31.518226+00', 1795904251518226, '{"traits": {"plan": "trial", "loyalty": "L-2"}}', '{"traits.plan": [{"at": 1795904248070329, "seq": 1795904248070329, "face": "cds", "application": "acme-backend", "observation_id": "3e760c09-908e-430e-a71e-3aa414cbd20d"}], "traits.loyalty": [{"at": 1795904248070329, "seq": 1795904248070329, "face": "cds", "application": "acme-backend", "observation_id": "3e760c09-908e-430e-a71e-3aa414cbd20d"}]}', '{"traits.loyalty": ["l-2"]}', '{"ca0a5180-5483-42dd-a2ab-587971f8e202": {"seq": 1795904251518226, "profile_id": "23de921e-daef-430d-915c-4ef1548d9ed2", "consented_at": 1795904251476692, "is_consented": false}}', false, '2026-11-28 22:17:28.070329+00', '[]', '2026-11-28 22:17:28.070329+00', '{}', '[]'),
	(2, '511dfc2e-3060-4748-bd08-c7d4d853a7e8', NULL, NULL, '511dfc2e30604748bd08c7d4', NULL, '2026-11-28 22:17:31.858391+00', '2026-11-28 22:17:32.467554+00', '2026-11-28 20:21:31.626+00', 1795904252467554, '{"identity_attributes": {"webId": "web-fay", "loyaltyId": "F-1", "emailAddress": "FAY@acme.example"}}', '{"identity_attributes.webId": [{"at": 1795897171626000, "seq": 1795904252179568, "face": "interactions", "trust": "browser", "observation_id": "06479b58-f7df-4a8c-a8c1-81392e40a9b9"}], "identity_attributes.loyaltyId": [{"at": 1795897291626000, "seq": 1795904252467554, "face": "interactions", "trust": "browser", "observation_id": "7722b645-64b6-4d25-ae08-dda08c345807"}], "identity_attributes.emailAddress": [{"at": 1795897231626000, "seq": 1795904252326885, "face": "interactions", "trust": "browser", "observation_id": "af9ef95a-2725-46a9-a218-f394b211d2ae"}]}', '{"webId": ["web-fay"], "loyaltyId": ["F-1"], "emailAddress": ["fay@acme.example"]}', '{}', false, '2026-11-28 20:17:31.626+00', '[]', '2026-11-28 20:17:31.626+00', '{}', '[["a1b2c3d4e5f60718", 1795904252179568]]'),
	(2, '58cdb9f1-00a3-4d2d-a337-0e4820113486', '511dfc2e-3060-4748-bd08-c7d4d853a7e8', 'identity:emailAddress', '0817f6e5d4c3b2a1', NULL, '2026-11-28 22:17:32.002298+00', '2026-11-28 22:17:32.002298+00', '2026-11-28 20:18:31.626+00', 1795904252326885, '{}', '{}', '{}', '{}', false, '2026-11-28 20:18:31.626+00', '[]', '2026-11-28 20:18:31.626+00', '{}', '[]'),
	(1, '3b857976-8087-4490-9c1d-59907b2021d6', NULL, NULL, '3b857976808744909c1d5990', 'user-dan', '2026-11-28 22:17:28.242885+00', '2026-11-28 22:17:30.475627+00', '2026-11-28 22:17:28.310044+00', 1795904250475627, '{"traits": {"home": {"city": "kandy", "street": "10"}, "plan": "basic", "visits": 2}}', '{"traits.plan": [{"at": 1795904248242885, "seq": 1795904248242885, "face": "cds", "application": "acme-backend", "observation_id": "db6f5554-35c0-4f65-8dc6-d7f9099d78c5"}], "traits.visits": [{"at": 1795904248310044, "seq": 1795904248310044, "face": "cds", "application": "acme-backend", "observation_id": "a074dbc0-2814-4148-b6ce-5e803e29df5e"}], "traits.home.city": [{"at": 1795904248310044, "seq": 1795904248310044, "face": "cds", "application": "acme-backend", "observation_id": "a074dbc0-2814-4148-b6ce-5e803e29df5e"}], "traits.home.street": [{"at": 1795904248310044, "seq": 1795904248310044, "face": "cds", "application": "acme-backend", "observation_id": "a074dbc0-2814-4148-b6ce-5e803e29df5e"}]}', '{"traits.home.city": ["kandy"]}', '{}', false, '2026-11-28 22:17:28.242885+00', '[]', '2026-11-28 22:17:28.242885+00', '{}', '[]'),
	(1, '9591149c-e58b-474f-ba88-b692bf312fab', NULL, NULL, '9591149ce58b474fba88b692', 'user-ann', '2026-11-28 22:17:25.340578+00', '2026-11-28 22:17:31.377435+00', '2026-11-28 22:17:31.377435+00', 1795904251377435, '{"traits": {"vip": true, "home": {"city": "Galle", "street": "1 Fort Road"}, "plan": "gold", "score": 1.5, "phones": ["+94 1", "+94 2"], "visits": 3, "loyalty": " l-1", "interests": ["tea", "rain"], "last_order": "2025-03-04T05:06:07Z", "member_since": "2025-02-03"}, "application_data": {"shop": {"basket": 7}, "acme-backend": {"theme": "dark", "basket": 4}}, "identity_attributes": {"emailaddress": "ann@acme.example"}}', '{"traits.vip": [{"at": 1795904245340578, "seq": 1795904245340578, "face": "cds", "application": "acme-backend", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}], "traits.plan": [{"at": 1795904245340578, "seq": 1795904245340578, "face": "cds", "application": "acme-backend", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}], "traits.score": [{"at": 1795904245340578, "seq": 1795904245340578, "face": "cds", "application": "acme-backend", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}], "traits.phones": [{"at": 1795904245791558, "seq": 1795904245791558, "face": "cds", "application": "acme-backend", "observation_id": "f16fdce6-e8f6-4706-b657-f2954d457011"}, {"at": 1795904246239256, "seq": 1795904246239256, "face": "cds", "application": "acme-backend", "observation_id": "087c4ff6-8b61-4e1f-be56-f76c0ee72957"}], "traits.visits": [{"at": 1795904245340578, "seq": 1795904245340578, "face": "cds", "application": "acme-backend", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}], "traits.loyalty": [{"at": 1795904245791558, "seq": 1795904245791558, "face": "cds", "application": "acme-backend", "observation_id": "f16fdce6-e8f6-4706-b657-f2954d457011"}], "traits.home.city": [{"at": 1795904245340578, "seq": 1795904245340578, "face": "cds", "application": "acme-backend", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}], "traits.interests": [{"at": 1795904245791558, "seq": 1795904245791558, "face": "cds", "application": "acme-backend", "observation_id": "f16fdce6-e8f6-4706-b657-f2954d457011"}, {"at": 1795904246239256, "seq": 1795904246239256, "face": "cds", "application": "acme-backend", "observation_id": "087c4ff6-8b61-4e1f-be56-f76c0ee72957"}], "traits.last_order": [{"at": 1795904245340578, "seq": 1795904245340578, "face": "cds", "application": "acme-backend", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}], "traits.home.street": [{"at": 1795904245340578, "seq": 1795904245340578, "face": "cds", "application": "acme-backend", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}], "traits.member_since": [{"at": 1795904245340578, "seq": 1795904245340578, "face": "cds", "application": "acme-backend", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}], "application_data.shop.basket": [{"at": 1795904247959067, "seq": 1795904247959067, "face": "cds", "application": "shop", "observation_id": "efc13ed3-3273-4af9-ae70-3d413f23c590"}], "identity_attributes.emailaddress": [{"at": 1795904245340578, "seq": 1795904245340578, "face": "cds", "application": "acme-backend", "observation_id": "a54ccd3f-c26d-4c5e-a188-53dc79ee1074"}], "application_data.acme-backend.theme": [{"at": 1795904246439137, "seq": 1795904246439137, "face": "cds", "application": "acme-backend", "observation_id": "62cf5dea-4424-4f41-9bcd-fe0827a43a70"}], "application_data.acme-backend.basket": [{"at": 1795904246439137, "seq": 1795904246439137, "face": "cds", "application": "acme-backend", "observation_id": "62cf5dea-4424-4f41-9bcd-fe0827a43a70"}]}', '{"traits.phones": ["+94 1", "+94 2"], "traits.loyalty": ["l-1"], "traits.home.city": ["galle"]}', '{"99de5d54-dadf-4775-bdf6-324a022bb16d": {"seq": 1795904251377435, "profile_id": "9591149c-e58b-474f-ba88-b692bf312fab", "consented_at": 1795904251251852, "is_consented": true}, "ca0a5180-5483-42dd-a2ab-587971f8e202": {"seq": 1795904251377435, "profile_id": "9591149c-e58b-474f-ba88-b692bf312fab", "consented_at": 1795904251251852, "is_consented": true}}', false, '2026-11-28 22:17:25.340578+00', '[]', '2026-11-28 22:17:25.340578+00', '{}', '[]'),
	(2, '4a993052-4e2e-4d84-a74a-e749365a2ba8', NULL, NULL, '4a9930524e2e4d84a74ae749', NULL, '2026-11-28 22:17:32.567645+00', '2026-11-28 22:17:32.567645+00', '2026-11-28 20:17:31.626+00', 1795904252567645, '{"identity_attributes": {"emailAddress": "guy@acme.example", "accountNumber": "A-1"}}', '{"identity_attributes.emailAddress": [{"at": 1795897051626000, "seq": 1795904252567645, "face": "interactions", "trust": "browser", "observation_id": "e62a0333-3874-4041-af19-a822956f6c13"}], "identity_attributes.accountNumber": [{"at": 1795897051626000, "seq": 1795904252567645, "face": "interactions", "trust": "browser", "observation_id": "e62a0333-3874-4041-af19-a822956f6c13"}]}', '{"emailAddress": ["guy@acme.example"], "accountNumber": ["a-1"]}', '{}', false, '2026-11-28 20:17:31.626+00', '[]', '2026-11-28 20:17:31.626+00', '{}', '[]'),
	(2, '764d14d3-40d5-4b14-8f83-336a39bbe615', NULL, NULL, '764d14d340d54b148f83336a', NULL, '2026-11-28 22:17:32.658829+00', '2026-11-28 22:17:32.658829+00', '2026-11-28 20:19:31.626+00', 1795904252859258, '{"identity_attributes": {"accountNumber": "A-2"}}', '{"identity_attributes.accountNumber": [{"at": 1795897171626000, "seq": 1795904252859258, "face": "interactions", "trust": "browser", "observation_id": "a185acb3-7278-417a-a2e0-cb3b6aa48faa"}]}', '{"accountNumber": ["a-2"]}', '{}', false, '2026-11-28 20:18:31.626+00', '[]', '2026-11-28 20:18:31.626+00', '{}', '[]'),
	(2, 'a5a1a81b-413f-4ae1-9b6b-2122dc0ec955', NULL, NULL, '00112233445566aa', NULL, '2026-11-28 22:17:32.953014+00', '2026-11-28 22:17:32.953014+00', '2026-11-28 20:17:31.626+00', 1795904252953014, '{}', '{}', '{}', '{"event/Personalization/page": {"seq": 1795904252953014, "profile_id": "a5a1a81b-413f-4ae1-9b6b-2122dc0ec955", "consented_at": 1795897051626000, "is_consented": false}}', false, '2026-11-28 20:17:31.626+00', '[]', '2026-11-28 20:17:31.626+00', '{}', '[]'),
	(2, 'af25ef82-dbce-4993-aaf6-1dd8849a8713', NULL, NULL, 'af25ef82dbce4993aaf61dd8', NULL, '2026-11-28 22:17:33.023556+00', '2026-11-28 22:17:33.023556+00', '2026-11-28 20:17:31.626+00', 1795904253023556, '{"identity_attributes": {"emailAddress": "hal@acme.example"}}', '{"identity_attributes.emailAddress": [{"at": 1795897051626000, "seq": 1795904253023556, "face": "interactions", "application": "acme-backend", "observation_id": "3fec34ab-0df9-441f-a506-41cb5e2ff546"}]}', '{"emailAddress": ["hal@acme.example"]}', '{}', false, '2026-11-28 20:17:31.626+00', '[]', '2026-11-28 20:17:31.626+00', '{}', '[]'),
	(1, '94b45d94-a988-4cbe-ae22-33f7f61b64d1', NULL, NULL, '94b45d94a9884cbeae2233f7', '8f2816a5-2ef4-407a-8abb-3230aef97104', '2026-11-28 22:17:33.113427+00', '2026-11-28 22:17:35.636884+00', '2026-11-28 22:17:35.636884+00', 1795904255636884, '{"traits": {"plan": "trial"}, "identity_attributes": {"userid": "8f2816a5-2ef4-407a-8abb-3230aef97104", "lastname": "Archer", "username": "ivy@acme.example", "givenname": "Ann", "emailaddress": "ivy@acme.example"}}', '{"traits.plan": [{"at": 1795904253113427, "seq": 1795904253113427, "face": "cds", "application": "acme-backend", "observation_id": "2b638b33-ac94-47b8-9916-6806aa2cfa5e"}], "identity_attributes.userid": [{"at": 1795904255636884, "seq": 1795904255636884, "face": "sign-in", "application": "portal", "observation_id": "76c2e57b-92d6-478c-8567-d8b1b8b0c676"}], "identity_attributes.lastname": [{"at": 1795904255636884, "seq": 1795904255636884, "face": "sign-in", "application": "portal", "observation_id": "76c2e57b-92d6-478c-8567-d8b1b8b0c676"}], "identity_attributes.username": [{"at": 1795904255636884, "seq": 1795904255636884, "face": "sign-in", "application": "portal", "observation_id": "76c2e57b-92d6-478c-8567-d8b1b8b0c676"}], "identity_attributes.givenname": [{"at": 1795904255636884, "seq": 1795904255636884, "face": "sign-in", "application": "portal", "observation_id": "76c2e57b-92d6-478c-8567-d8b1b8b0c676"}], "identity_attributes.emailaddress": [{"at": 1795904255636884, "seq": 1795904255636884, "face": "sign-in", "application": "portal", "observation_id": "76c2e57b-92d6-478c-8567-d8b1b8b0c676"}]}', '{}', '{}', false, '2026-11-28 22:17:33.113427+00', '[]', '2026-11-28 22:17:33.113427+00', '{}', '[["94b45d94a9884cbe", 1795904255636884]]'),
	(1, 'c79414d7-2759-4760-b901-88ac740bd437', NULL, NULL, 'c79414d727594760', NULL, '2026-11-28 22:17:37.445782+00', '2026-11-28 22:17:37.445782+00', '2026-11-28 22:17:37.445782+00', 1795904257445782, '{"traits": {"plan": "once"}}', '{"traits.plan": [{"at": 1795904257445782, "seq": 1795904257445782, "face": "cds", "application": "acme-backend", "observation_id": "034ba2e5-5012-45ab-85f6-5058ec940bab"}]}', '{}', '{}', false, '2026-11-28 22:17:37.445782+00', '[]', '2026-11-28 22:17:37.445782+00', '{}', '[]'),
	(1, '3e377c25-e3eb-4f14-b61a-d8da4a1d5816', NULL, NULL, '', NULL, '2026-11-28 22:17:37.649924+00', '2026-11-28 22:17:37.649924+00', '2026-11-28 22:17:37.649924+00', 1795904257649924, '{}', '{}', '{}', '{}', true, '1970-01-01 00:00:00+00', '[]', '1970-01-01 00:00:00+00', '{}', '[]'),
	(2, '47c95fe5-165a-424e-a72b-d7863d2aeb2a', NULL, NULL, '', NULL, '2026-11-28 22:17:38.017859+00', '2026-11-28 22:17:38.017859+00', '2026-11-28 22:17:38.017859+00', 1795904258017859, '{}', '{}', '{}', '{}', true, '1970-01-01 00:00:00+00', '[]', '1970-01-01 00:00:00+00', '{}', '[]');

INSERT INTO oneself.refusal VALUES
	(1, 'different_user', '0a2481ef-2fff-4bd7-980b-3306e53b74a9', '23de921e-daef-430d-915c-4ef1548d9ed2', '', 1795904248149846, 1795904248149846, 1),
	(2, 'conflicting_identity', '764d14d3-40d5-4b14-8f83-336a39bbe615', '4a993052-4e2e-4d84-a74a-e749365a2ba8', 'accountNumber', 1795904252859258, 1795904252859258, 1);

INSERT INTO oneself.signing_key VALUES
	(1, 'e17a0ac9f2ad4a7899253b4a81463886', 'RS256', '{"e": "AQAB", "n": "pkBkvNiygcSU67lNM6kagfjwsaIkXNQ-P_lC1YCZkbQIoig7xcWx8hiehxz-y8NlxIWGp7VlBgaF3tu8gYOhPLh8U6fG48ud7I191dBulFYsiPc2Vp9N1g8Wm3UWuRi7j19RoABQKy_iK8NqgEVPbz6INxOATeIZceVis1v3XsV4I-sesxAOPTM91zTmX6ZqygOh3IYkMmiwAV4tOkjrKN9DlgdAg3a9s7aZtv9tle4JgHqo3odslJaq1G8yv8dQkOfL3G7cUE0aEaFzp2cNMHuWmG6CrxVu5qf1Wn1ie1NF4PvPj7bWvPOvHtht6YjxA-GEj6JzaeDDt3IgEH5gwQ", "alg": "RS256", "kid": "e17a0ac9f2ad4a7899253b4a81463886", "kty": "RSA", "use": "sig"}', '\x01079ee8e2137a26dc5eafb23efcb540cd5670e7816c2403bff3cfd8dcbc185b3d1b3690c9adae9aac51a970c47205156738d354e24134a5559302e17d8173d9bf6e648b414a18abbad14068574bba681ab4a2fa75c4675e52601ee28ef663dc7c817310d30d7cff7ac64620b02e0a954d09e99d326a849cbea11fe5f5fdabf8d161c0c2057dd7f9da4bf7439c0b818d8c0711429a8e5ba13cefd9c47abbcafec7b57713b9f283a31288fed7af85b0a9b838d48cb1d24cdd8ca9c615fc7baa7d417ba0e3b3a1a2a77bcc5b58de1435bb190822b2498ae8887854b21cb7c908d672af476046f456d46227aaffcfea548e52b126ecee274a35bd003cd47b2b50dce9d1451fcf420e3720dac6a6cecc5b089f00562da3150423fa61cfadfec9cd3c67f3f941a62757f8a361e6251f9e93e0f5f4e4be3101125b8f538561b838b47324a3093827159aee429fda073d41122f3e6194d2f45a86b8b76875cc9d5d4481e36d624eca98f45ece08ca8bacafe9cb94769287a7a6e9d65dff29d171b56acb9b6a09211d43a48e213223d3c119103361ddb3a5660f8a4d46d7f1d3a8dc963f6cd2cc82473b768c115135c92e18198dc6b30b6819f75b5ba75097df8b4bc467f894de3cbc6cbda97f5bdce5c1b12483a7be0a72ae1f94eaf29647e4735d9b8c3f5a4301dc818fdf3e41fe69e50f5e1bc308666dc2aa3fd3c0dd08bf4e0a83bbbab97571e1d9ef6b826b5607426a6816dd641a39db5306c2f66d5525e7de99a3c296b92f15cf46f3cbd3a02b670c672f8886e8e2dbb9b53159a0002d4298137ed5678e875fc206b5c8e66580c2fddc952eeb49402f97e4fa17c65f732fb820aa6ea97e1c8c79fb4255d73903d3986da36e827ddff2a11dd44e921a9fbd03143f9c3221b7c86ea5a3a49b788a893e94fb06a2cfaa502e91fa544e683533510e05aeacd2764191f0a3e762a3f9b5512d9f9e10e34b9709cd53c2bb67333ffd5681a71ea8c26d3b97dcf2ce48700ced274a989d67d7d169c6bd4c5ea32d1346b07f8eb5527d5f0c15634267e97f500f79f4c1ffed81bf1d50fa21e0ecb451ac4bc66b3d60d1fbc8c956d7727708a7523bf3ec2b2c4ba0965d0424133086a46d93c04a2631dac957df7c4572f8e2a71405b84cfd87e2092fdcb470c5a631d55507fcf8b315b4f78b6f0e9e7d38ca4779df47a6054bef1de30f5cc630cecdc1cbff76b120266774897a7d6d456e4acabfd4fbb265c5ee8111485e5ff5776b5540263f44656d610b1360129974fa1ca31fd6abb3acb1bc8239ac82f2e56066a19f2f8ce16315eb7cdb77fe8df2490f555a19edf44c934f2d5cb991552e7049a10ec11cae6ec309b09da17f747ed9994e6a60ebe252785a01a776c0e68a9205e2b7e7ceb2b74af306d216d632c73e729bbd43988868f44eb79e14f9bd1424b145f1e9a0f74ac6be451254d0f20f168f14b46a024fac015366472425b1e171eeb6df5b7dffd7d2acf3a36b35cc59a323d4f2791212d8b2fb779f68bae5b988fcc210d8c95b00c793acddd3bb0ede0e6caae541e4bfac533d2bed37334c975117a60f7843351bd5d5aabb2e2dcda786212ebda3ece55baad8869b1b15f34a54c2c79cf344ad0a8f17d00ac7fa677cf161d3e0a429af95e0b13d2bc2848d9f118d7cf718d35fb5658c9e4b4154e667d0f2e555f5383e625b2f332e108156b310182599836c6f9d4aba10dd8a1cd18e8681aef3b6d0d8231766c0eb159f6f728bc279b62f9eb33b401adc7d3669feb07ecc61c2e75e75cc3795a92d6e617c06dd4bf8bf5674a1bb2711c509635c4a205ff8e9bd77f2311ada429afb4fce2f5fe5b490a452361c7ca2c4933dacd0685d109441367aae023b3df006df5d6ec1213cfc2327c9481af3c8a90399d359fc0817d5a0cf7f02f20a8a4d56d2884600bcba84110146512b9b2ff496605b1855d56432ff427ab7306b27b4fad142b952ff49f63e2f9f05d3297adcfdd2d7575f2148843c9e2a2a37974c0bd2efe05970102644ca982ed0842fa3cb3a7d761c4672c4426df2d03b2104447ad7bd9b03d73cf084dff4d95a6bbda7c3a4257677e74d921b3b787ffe321dd612889a787d1925458ecc8e664b26ce7605a9e06a1a7e541da4f7e3118acd506c6b1c657daada3d672cb338272b2c803638ff2ba39da13bc5c58ce30553d6ac4a0ab52189990e6f986b41e45b270c0529778e0a90fb6c284bb39b0075a963d30960096d0c64ba879e573be4fed644d3327d94b13f170465b9b529d62b67b3592c80e74a5b612b7314ae18d5e2c081e9ed8b8a86ae61ae889830b3178583001a543d849c8a01d599ac7c6a7de55f390ef8cb9135d25c707349fa7ac403c009e3289110a6f08dbfbe9eb4faccb8ede843952f34bb1cc6e0a9c31e97226c', '2026-11-28 22:16:29.841664+00', NULL);

INSERT INTO oneself.token_key VALUES
	(1, 1, '\x019f52090d4db18ab19202a5a7de20b452b800388044f91ea75882dd7d9e6e33cdb2c4bb551488c68cf8215229cb60d11ea8d41e77f02e5c85e03b3058', '2026-11-28 22:17:31.740789+00', '2026-11-28 22:17:31.740789+00');

INSERT INTO oneself.tombstone VALUES
	(1, '\xb483f8827210360e0de26b49dd37eb07', '2026-11-28 22:17:37.649924+00'),
	(1, '\xbf21d8794b02f5dc51a68d352daa2a7c', '2026-11-28 22:17:37.649924+00'),
	(2, '\x22f7ac43ba59309e23ba540ad1002f97', '2026-11-28 22:17:38.017859+00'),
	(2, '\x6e8a32ed060ef6aeebf2b7d65a788485', '2026-11-28 22:17:38.017859+00');

SELECT pg_catalog.setval('oneself.dataset_dataset_id_seq', 2, true);

SELECT pg_catalog.setval('oneself.organisation_org_id_seq', 1, true);

ALTER TABLE ONLY oneself.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (org_id, user_id);

ALTER TABLE ONLY oneself.account
    ADD CONSTRAINT account_username_key UNIQUE (org_id, username_key);

ALTER TABLE ONLY oneself.administrator
    ADD CONSTRAINT administrator_pkey PRIMARY KEY (org_id, username);

ALTER TABLE ONLY oneself.answer
    ADD CONSTRAINT answer_key PRIMARY KEY (dataset_id, key);

ALTER TABLE ONLY oneself.application
    ADD CONSTRAINT application_pkey PRIMARY KEY (org_id, client_id);

ALTER TABLE ONLY oneself.authorization_code
    ADD CONSTRAINT authorization_code_pkey PRIMARY KEY (org_id, code_digest);

ALTER TABLE ONLY oneself.browser_session
    ADD CONSTRAINT browser_session_pkey PRIMARY KEY (org_id, session_digest);

ALTER TABLE ONLY oneself.claim
    ADD CONSTRAINT claim_key PRIMARY KEY (dataset_id, namespace, value, seq, profile_id);

ALTER TABLE ONLY oneself.claim_sync
    ADD CONSTRAINT claim_sync_pkey PRIMARY KEY (org_id);

ALTER TABLE ONLY oneself.config
    ADD CONSTRAINT config_key PRIMARY KEY (dataset_id);

ALTER TABLE ONLY oneself.dataset
    ADD CONSTRAINT dataset_name_key UNIQUE (org_id, name);

ALTER TABLE ONLY oneself.dataset
    ADD CONSTRAINT dataset_pkey PRIMARY KEY (dataset_id);

ALTER TABLE ONLY oneself.identity_server
    ADD CONSTRAINT identity_server_pkey PRIMARY KEY (org_id);

ALTER TABLE ONLY oneself.indexing
    ADD CONSTRAINT indexing_key PRIMARY KEY (dataset_id, rule_id);

ALTER TABLE ONLY oneself.log
    ADD CONSTRAINT log_key PRIMARY KEY (dataset_id, seq, observation_id);

ALTER TABLE ONLY oneself.login_failure
    ADD CONSTRAINT login_failure_pkey PRIMARY KEY (org_id, subject);

ALTER TABLE ONLY oneself.merge
    ADD CONSTRAINT merge_key PRIMARY KEY (dataset_id, absorbed_id, seq);

ALTER TABLE ONLY oneself.migration
    ADD CONSTRAINT migration_key PRIMARY KEY (name);

ALTER TABLE ONLY oneself.oauth_grant
    ADD CONSTRAINT oauth_grant_pkey PRIMARY KEY (org_id, grant_id);

ALTER TABLE ONLY oneself.organisation
    ADD CONSTRAINT organisation_handle_key UNIQUE (handle);

ALTER TABLE ONLY oneself.organisation
    ADD CONSTRAINT organisation_pkey PRIMARY KEY (org_id);

ALTER TABLE ONLY oneself.profile
    ADD CONSTRAINT profile_key PRIMARY KEY (dataset_id, profile_id);

ALTER TABLE ONLY oneself.refresh_token
    ADD CONSTRAINT refresh_token_pkey PRIMARY KEY (org_id, token_digest);

ALTER TABLE ONLY oneself.refusal
    ADD CONSTRAINT refusal_key PRIMARY KEY (dataset_id, profile_id, other_id, code, namespace);

ALTER TABLE ONLY oneself.revoked_token
    ADD CONSTRAINT revoked_token_pkey PRIMARY KEY (org_id, token_id);

ALTER TABLE ONLY oneself.signing_key
    ADD CONSTRAINT signing_key_pkey PRIMARY KEY (org_id, key_id);

ALTER TABLE ONLY oneself.skipped_claim
    ADD CONSTRAINT skipped_claim_pkey PRIMARY KEY (dataset_id, path, problem);

ALTER TABLE ONLY oneself.token_key
    ADD CONSTRAINT token_key_pkey PRIMARY KEY (org_id, key_id);

ALTER TABLE ONLY oneself.tombstone
    ADD CONSTRAINT tombstone_key PRIMARY KEY (dataset_id, digest);

ALTER TABLE ONLY oneself.trusted_issuer
    ADD CONSTRAINT trusted_issuer_once UNIQUE (org_id, issuer);

ALTER TABLE ONLY oneself.trusted_issuer
    ADD CONSTRAINT trusted_issuer_pkey PRIMARY KEY (org_id, issuer_id);

CREATE INDEX answer_by_profile ON oneself.answer USING btree (dataset_id, profile_id);

CREATE INDEX authorization_code_by_expiry ON oneself.authorization_code USING btree (expires_at);

CREATE INDEX authorization_code_by_grant ON oneself.authorization_code USING btree (org_id, grant_id);

CREATE INDEX browser_session_by_account ON oneself.browser_session USING btree (org_id, user_id);

CREATE INDEX browser_session_by_expiry ON oneself.browser_session USING btree (expires_at);

CREATE INDEX claim_by_profile ON oneself.claim USING btree (dataset_id, profile_id);

CREATE INDEX log_by_profile ON oneself.log USING btree (dataset_id, profile_id, seq) WHERE (profile_id IS NOT NULL);

CREATE INDEX log_by_rare_kind ON oneself.log USING btree (dataset_id, kind, seq DESC) WHERE (kind = ANY (ARRAY['configure'::text, 'erase'::text]));

CREATE INDEX log_of_configuration ON oneself.log USING btree (dataset_id, seq) WHERE (kind = 'configure'::text);

CREATE INDEX login_failure_by_expiry ON oneself.login_failure USING btree (expires_at);

CREATE INDEX merge_by_survivor ON oneself.merge USING btree (dataset_id, survivor_id);

CREATE INDEX oauth_grant_by_account ON oneself.oauth_grant USING btree (org_id, user_id);

CREATE INDEX oauth_grant_by_application ON oneself.oauth_grant USING btree (org_id, client_id);

CREATE INDEX oauth_grant_by_time ON oneself.oauth_grant USING btree (created_at);

CREATE INDEX profile_by_survivor ON oneself.profile USING btree (dataset_id, survivor_id) WHERE (survivor_id IS NOT NULL);

CREATE INDEX profile_listing ON oneself.profile USING btree (dataset_id, created_at DESC, profile_id DESC) WHERE ((survivor_id IS NULL) AND (NOT erased));

CREATE UNIQUE INDEX profile_user_once ON oneself.profile USING btree (dataset_id, user_id) WHERE ((survivor_id IS NULL) AND (NOT erased) AND (user_id IS NOT NULL));

CREATE INDEX refresh_token_by_expiry ON oneself.refresh_token USING btree (expires_at);

CREATE INDEX refresh_token_by_grant ON oneself.refresh_token USING btree (org_id, grant_id);

CREATE INDEX refusal_by_other ON oneself.refusal USING btree (dataset_id, other_id);

CREATE INDEX refusal_listing ON oneself.refusal USING btree (dataset_id, last_seq DESC);

CREATE INDEX revoked_token_by_time ON oneself.revoked_token USING btree (revoked_at);

CREATE UNIQUE INDEX signing_key_one_current ON oneself.signing_key USING btree (org_id) WHERE (retired_at IS NULL);

ALTER TABLE ONLY oneself.account
    ADD CONSTRAINT account_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);

ALTER TABLE ONLY oneself.administrator
    ADD CONSTRAINT administrator_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);

ALTER TABLE ONLY oneself.application
    ADD CONSTRAINT application_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);

ALTER TABLE ONLY oneself.authorization_code
    ADD CONSTRAINT authorization_code_grant_fkey FOREIGN KEY (org_id, grant_id) REFERENCES oneself.oauth_grant(org_id, grant_id) ON DELETE CASCADE;

ALTER TABLE ONLY oneself.browser_session
    ADD CONSTRAINT browser_session_account_fkey FOREIGN KEY (org_id, user_id) REFERENCES oneself.account(org_id, user_id) ON DELETE CASCADE;

ALTER TABLE ONLY oneself.claim_sync
    ADD CONSTRAINT claim_sync_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);

ALTER TABLE ONLY oneself.dataset
    ADD CONSTRAINT dataset_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);

ALTER TABLE ONLY oneself.identity_server
    ADD CONSTRAINT identity_server_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);

ALTER TABLE ONLY oneself.oauth_grant
    ADD CONSTRAINT oauth_grant_account_fkey FOREIGN KEY (org_id, user_id) REFERENCES oneself.account(org_id, user_id) ON DELETE CASCADE;

ALTER TABLE ONLY oneself.oauth_grant
    ADD CONSTRAINT oauth_grant_application_fkey FOREIGN KEY (org_id, client_id) REFERENCES oneself.application(org_id, client_id) ON DELETE CASCADE;

ALTER TABLE ONLY oneself.refresh_token
    ADD CONSTRAINT refresh_token_grant_fkey FOREIGN KEY (org_id, grant_id) REFERENCES oneself.oauth_grant(org_id, grant_id) ON DELETE CASCADE;

ALTER TABLE ONLY oneself.revoked_token
    ADD CONSTRAINT revoked_token_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);

ALTER TABLE ONLY oneself.signing_key
    ADD CONSTRAINT signing_key_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);

ALTER TABLE ONLY oneself.token_key
    ADD CONSTRAINT token_key_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);

ALTER TABLE ONLY oneself.trusted_issuer
    ADD CONSTRAINT trusted_issuer_org_fkey FOREIGN KEY (org_id) REFERENCES oneself.organisation(org_id);
