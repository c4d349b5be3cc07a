"""The records of frames: the log, the sinks that follow it, and subscribing to them."""
