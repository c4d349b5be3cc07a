"""The read side of Amazon Kinesis Data Streams: topics of the log as data streams."""
