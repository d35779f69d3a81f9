"""The embedded home: SQLite for what is small and relational and for the log, DuckDB for readings."""
