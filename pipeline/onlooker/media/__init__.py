"""Pictures and video in: `image` for stills, `source` and `decode` for videos."""
