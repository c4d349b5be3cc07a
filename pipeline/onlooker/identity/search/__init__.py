"""Search for the nearest faces and users."""
