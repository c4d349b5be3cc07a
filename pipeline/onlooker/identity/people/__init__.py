"""People whom no collection knows: stable ids, names, and everything that can be undone."""
