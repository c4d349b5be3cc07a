"""How frames travel: `stages` is the table, `hub` and `worker` the machinery around it."""
