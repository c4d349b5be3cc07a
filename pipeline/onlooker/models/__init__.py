"""Model cards, weights and sessions."""
