-- Attributes that configurations had, read from the changes in the log.

-- name: list_ids
-- Every id that an attribute of one of these names ever had, the latest last.
-- $2: names
SELECT attribute ->> 'attribute_name' AS name, attribute ->> 'attribute_id' AS attribute_id
FROM log
CROSS JOIN LATERAL jsonb_array_elements(
    CASE WHEN content #>> '{change,type}' = 'several' THEN content #> '{change,changes}'
         ELSE jsonb_build_array(content -> 'change') END
) AS change
CROSS JOIN LATERAL jsonb_array_elements(coalesce(change -> 'attributes', '[]')) AS attribute
WHERE log.dataset_id = $1 AND log.kind = 'configure' AND attribute ->> 'attribute_name' = ANY ($2::text[])
ORDER BY log.seq;
