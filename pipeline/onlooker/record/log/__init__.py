"""The log of records."""
