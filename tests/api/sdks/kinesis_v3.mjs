// Reads a stream to its end with the AWS SDK for JavaScript, version 3, over HTTP/2, its default.
// Arguments: endpoint, stream. Prints the Sequences of the records, and an error's name.
import { createRequire } from "module";
const require = createRequire(`${process.env.NODE_PATH}/`);
const { Kinesis } = require("@aws-sdk/client-kinesis");

const [endpoint, stream] = process.argv.slice(2);
const credentials = { accessKeyId: "a", secretAccessKey: "b" };
const client = new Kinesis({ endpoint, region: "us-east-1", credentials });
const { Shards } = await client.listShards({ StreamName: stream });
let { ShardIterator } = await client.getShardIterator({
  StreamName: stream,
  ShardId: Shards[0].ShardId,
  ShardIteratorType: "TRIM_HORIZON",
});
const sequences = [];
for (let behind = 1; behind > 0; ) {
  const answer = await client.getRecords({ ShardIterator, Limit: 100 });
  for (const record of answer.Records) {
    sequences.push(JSON.parse(Buffer.from(record.Data).toString()).Sequence);
  }
  ShardIterator = answer.NextShardIterator;
  behind = answer.MillisBehindLatest;
}
let error = "";
await client.describeStream({ StreamName: "nobody" }).catch((thrown) => (error = thrown.name));
console.log(JSON.stringify({ sequences, error }));
client.destroy();
