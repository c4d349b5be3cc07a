"""Jobs over stored videos: durable rows, the processes that work on them, and their notices."""
