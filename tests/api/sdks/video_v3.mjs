// A program that waits for Rekognition Video on a queue: the AWS SDK for JavaScript, version 3, and sqs-consumer,
// both unchanged. Prints one JSON object: see tests/api/test_video_programs.py.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Rekognition } = require("@aws-sdk/client-rekognition");
const { SQSClient, GetQueueUrlCommand } = require("@aws-sdk/client-sqs");
const { Consumer } = require("sqs-consumer");

const [, , endpoint, bucket, name, topic, queue] = process.argv;
const settings = {
  endpoint, region: "us-east-1", credentials: { accessKeyId: "AKIDNOBODY", secretAccessKey: "any" }, maxAttempts: 1,
};
const rekognition = new Rekognition(settings);
const sqs = new SQSClient(settings);
const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queue }));
const missing = await sqs.send(new GetQueueUrlCommand({ QueueName: "none" })).catch((error) => error.name);

const { JobId } = await rekognition.startFaceDetection({
  Video: { S3Object: { Bucket: bucket, Name: name } },
  NotificationChannel: { SNSTopicArn: topic, RoleArn: "arn:aws:iam::000000000000:role/any" },
});
const notice = await new Promise((resolve, reject) => {
  const consumer = Consumer.create({
    queueUrl: QueueUrl, sqs, waitTimeSeconds: 5,
    handleMessage: async (message) => {
      const notice = JSON.parse(JSON.parse(message.Body).Message);
      if (notice.JobId === JobId) resolve(notice);
      return message;
    },
  });
  consumer.on("error", reject);
  consumer.on("processing_error", reject);
  consumer.on("message_processed", () => consumer.stop());
  consumer.start();
});
const found = [];
let NextToken = "";
while (NextToken !== undefined) {
  const page = await rekognition.getFaceDetection({ JobId, MaxResults: 2, NextToken });
  found.push(...page.Faces.map((face) => face.Timestamp));
  NextToken = page.NextToken;
}
console.log(JSON.stringify({ status: notice.Status, api: notice.API, found, missing }));
process.exit(0);
