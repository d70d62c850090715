-- The erasures in the table `log` of every dataset of an organisation. $1 is the organisation.

-- name: list
-- The erasures before a seq, the last one first.
-- $2: seq
-- $3: how many at most
-- $4: the name of a dataset; null for every one
SELECT dataset.name AS dataset, erasure.seq, erasure.observation_id, erasure.content
FROM dataset
CROSS JOIN LATERAL (
    SELECT seq, observation_id, content::text
    FROM log
    WHERE log.dataset_id = dataset.dataset_id AND kind = 'erase' AND seq < $2
    ORDER BY seq DESC
    LIMIT $3
) AS erasure
WHERE dataset.org_id = $1 AND ($4::text IS NULL OR dataset.name = $4)
ORDER BY erasure.seq DESC, erasure.observation_id
LIMIT $3;

-- name: find
-- One erasure.
-- $2: observation, which is the id of the receipt
SELECT dataset.name AS dataset, log.seq, log.observation_id, log.content::text AS content
FROM dataset
JOIN log ON log.dataset_id = dataset.dataset_id
WHERE dataset.org_id = $1 AND log.kind = 'erase' AND log.observation_id = $2;
