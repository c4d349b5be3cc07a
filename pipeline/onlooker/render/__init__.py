"""Results drawn into images and videos."""
