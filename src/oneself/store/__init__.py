"""PostgreSQL: connections, named SQL, rows, migrations. Decides nothing."""
