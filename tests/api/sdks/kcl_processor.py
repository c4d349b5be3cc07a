"""A record processor of the Kinesis Client Library for Python, as its daemon starts it.

It appends the Sequence of each record to the file in $KCL_FILE, and a line "checkpoint" after each
checkpoint.
"""

# mypy: ignore-errors

import json
import os
from pathlib import Path

from amazon_kclpy import kcl
from amazon_kclpy.v3 import processor


class Reader(processor.RecordProcessorBase):
    def initialize(self, initialize_input):
        self._path = Path(os.environ["KCL_FILE"])

    def process_records(self, process_records_input):
        with self._path.open("a") as file:
            for record in process_records_input.records:
                print(json.loads(record.binary_data)["Sequence"], file=file)
            file.flush()
            process_records_input.checkpointer.checkpoint()
            print("checkpoint", file=file)

    def lease_lost(self, lease_lost_input):
        pass

    def shard_ended(self, shard_ended_input):
        shard_ended_input.checkpointer.checkpoint()

    def shutdown_requested(self, shutdown_requested_input):
        shutdown_requested_input.checkpointer.checkpoint()


kcl.KCLProcess(Reader()).run()
