-- Reading the view `all` has a permission of its own. Whoever read profiles before could read everything that
-- the business believes, and still can: applications that act for themselves, and trusted issuers. Browser
-- applications only have persons' tokens, which read nothing but the person's own profile.

UPDATE application
SET permissions = array_append(permissions, 'internal_cds_profile_view_all')
WHERE kind <> 'browser'
  AND 'internal_cds_profile_view' = ANY (permissions)
  AND NOT 'internal_cds_profile_view_all' = ANY (permissions);

UPDATE trusted_issuer
SET permissions = array_append(permissions, 'internal_cds_profile_view_all')
WHERE 'internal_cds_profile_view' = ANY (permissions)
  AND NOT 'internal_cds_profile_view_all' = ANY (permissions);
