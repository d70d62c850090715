-- Export has a permission of its own. Whoever could export by internal_cds_profile_view still can: applications
-- that act for themselves, and trusted issuers. Browser applications cannot: they only have persons' tokens,
-- which export nothing (docs/decisions/0019-what-a-caller-reaches.md).

UPDATE application
SET permissions = array_append(permissions, 'internal_cds_privacy_export')
WHERE kind <> 'browser'
  AND 'internal_cds_profile_view' = ANY (permissions)
  AND NOT 'internal_cds_privacy_export' = ANY (permissions);

UPDATE trusted_issuer
SET permissions = array_append(permissions, 'internal_cds_privacy_export')
WHERE 'internal_cds_profile_view' = ANY (permissions)
  AND NOT 'internal_cds_privacy_export' = ANY (permissions);
