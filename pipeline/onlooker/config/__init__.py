"""The configuration: its schema, its file, and the user's folders."""
