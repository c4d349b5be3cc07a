"""What is said about a frame: `shapes`, `build`, and where it goes: `log`, `publish`."""
