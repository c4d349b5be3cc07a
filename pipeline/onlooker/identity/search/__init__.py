"""Search for the nearest faces."""
