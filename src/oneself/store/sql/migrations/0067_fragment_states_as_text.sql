-- The state of a fragment is written and read whole: as text, nothing parses it.
ALTER TABLE fragment ALTER COLUMN state TYPE text USING state::text;
