"""The configuration file and the user's folders."""
