"""The store in PostgreSQL: connections, transactions, tables."""
