"""Images and video in and out: `open` opens a source, `decode` and `image` make pictures of it."""
