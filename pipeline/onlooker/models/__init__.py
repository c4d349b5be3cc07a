"""Models: facts, files and sessions.

`card` reads the cards in `onlooker/cards`; `archive`, `convert` and `weights` build the ONNX files;
`session` runs them, in the `precision` that is right on this machine; `self_test` and `verify`
compare them with their cards; `import_paddle` makes cards for the user's own models.
"""
