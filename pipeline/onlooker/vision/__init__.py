"""What is seen in a picture: `faces`, `text`, and `runtime`, which runs their models."""
