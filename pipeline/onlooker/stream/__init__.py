"""The transport of frames between processes: `stages` is the table, `hub` the middle."""
