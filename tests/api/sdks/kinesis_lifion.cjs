// Consumes a stream with lifion-kinesis, whose leases are in a DynamoDB.
// Arguments: endpoint, stream, endpoint of DynamoDB, records to wait for. Prints their Sequences.
const Kinesis = require(`${process.env.NODE_PATH}/lifion-kinesis`);

const [endpoint, streamName, dynamoDb, count] = process.argv.slice(2);
const client = { accessKeyId: "a", secretAccessKey: "b", region: "us-east-1" };
const consumer = new Kinesis({
  ...client,
  endpoint,
  streamName,
  consumerGroup: "test",
  createStreamIfNeeded: false,
  dynamoDb: { ...client, endpoint: dynamoDb, tableName: "lifion" },
  initialPositionInStream: "TRIM_HORIZON",
  limit: 100,
  pollDelay: 50,
  useEnhancedFanOut: false,
});
const sequences = [];
consumer.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
consumer.on("data", ({ records }) => {
  sequences.push(...records.map((record) => record.data.Sequence));
  if (sequences.length >= Number(count)) {
    console.log(JSON.stringify({ sequences }));
    process.exit(0);
  }
});
consumer.startConsumer();
