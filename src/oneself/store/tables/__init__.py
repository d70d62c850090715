"""One repository per table: `<table>.py` beside `<table>.sql`.

How to write one:

* `<table>.sql` has the statements that read or write this table first of all. See `store/queries.py` for
  their form: a name, one sentence, one line per parameter, no line over 110 characters.
* `<table>.py` has one class that extends `Table` (of a dataset) or holds an executor itself (of an
  organisation). Each method runs one statement and returns values of `core`, or frozen structs that are
  defined beside the class, never database rows. Verbs: `find_` (None or empty if missing), `list_` (pages),
  `put_`, `delete_`, `lock_`.
* `store/transaction.py` gives the repository a property in `Tables`, so that use-cases write
  `transaction.fragments.lock(ids)` in a transaction and `Tables(database, dataset_id).profiles.find(ids)`
  outside one.
* A use-case never sees SQL, `Queries` or asyncpg.
"""
