// The AWS SDK for JavaScript, version 2, unchanged. Prints one JSON object: see tests/api/test_sdks.py.
const fs = require("fs");
const AWS = require("aws-sdk");

const [, , endpoint, accessKeyId, secretAccessKey, photograph] = process.argv;
const settings = { endpoint, accessKeyId, secretAccessKey, region: "us-east-1", maxRetries: 0 };
const client = new AWS.Rekognition(settings);
const CollectionId = "javascript-v2";
const Image = { Bytes: fs.readFileSync(photograph) };

async function main() {
  await client.createCollection({ CollectionId }).promise();
  const indexed = await client
    .indexFaces({ CollectionId, Image, ExternalImageId: "eileen" }).promise();
  const found = await client.searchFacesByImage({ CollectionId, Image }).promise();
  const detected = await client.detectFaces({ Image, Attributes: ["ALL"] }).promise();
  const text = await client.detectText({ Image }).promise();
  await client.deleteCollection({ CollectionId }).promise();
  const error = await client.listFaces({ CollectionId }).promise().catch((error) => error);
  const late = new AWS.Rekognition({
    ...settings, maxRetries: 1, correctClockSkew: true, systemClockOffset: -3600e3,
  });
  await late.listCollections().promise();
  console.log(JSON.stringify({
    indexed: indexed.FaceRecords.length,
    name: found.FaceMatches[0].Face.ExternalImageId,
    detected: detected.FaceDetails.length,
    text: Array.isArray(text.TextDetections),
    error: error.code,
    request: error.requestId,
  }));
}

main();
