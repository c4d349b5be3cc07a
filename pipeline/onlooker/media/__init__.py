"""Images and video in and out: `open` opens a source, `decode` and `image` decode it."""
