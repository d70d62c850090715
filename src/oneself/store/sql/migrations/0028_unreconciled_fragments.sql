-- The fragments whose evidence has changed so that the view all may have to part or join people.
CREATE TABLE unreconciled_fragment (
    dataset_id integer NOT NULL,
    fragment_id uuid NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (dataset_id, fragment_id)
);

-- What earlier versions merged by assertion, and what a user owns.
INSERT INTO unreconciled_fragment (dataset_id, fragment_id, seq)
SELECT dataset_id, fragment_id, seq
FROM fragment
WHERE (owner_id IS NOT NULL OR reported_id IS NOT NULL)
  AND EXISTS (
    SELECT FROM fragment_claim AS claim
    WHERE claim.dataset_id = fragment.dataset_id AND claim.fragment_id = fragment.fragment_id
);
