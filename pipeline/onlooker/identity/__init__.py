"""Who it is: `store` keeps faces, `index` finds near ones, `match` says how alike they are."""
