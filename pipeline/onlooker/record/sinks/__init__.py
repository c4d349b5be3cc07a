"""Where records go from the log."""
