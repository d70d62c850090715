-- The audit trail lists what people decided about profiles.
CREATE INDEX log_of_decisions ON log (dataset_id, kind, seq DESC) WHERE kind IN ('split', 'merge');
