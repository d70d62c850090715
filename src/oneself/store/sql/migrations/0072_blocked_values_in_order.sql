-- Blocked values of a configuration in the order of their code points, as they are written from now on. Their order was
-- that of a set, another one in each process, and `verify` reported a difference where there is none.

UPDATE config
SET document = jsonb_set(
    document,
    '{blocked,values}',
    (
        SELECT jsonb_agg(blocked ORDER BY blocked COLLATE "C")
        FROM jsonb_array_elements_text(document #> '{blocked,values}') AS blocked
    )
)
WHERE jsonb_array_length(document #> '{blocked,values}') > 1;
