"""The destinations that follow the log."""
