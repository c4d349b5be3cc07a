"""The store in PostgreSQL with pgvector: connections, transactions, tables."""
