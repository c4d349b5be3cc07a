"""What was found, drawn on the picture."""
