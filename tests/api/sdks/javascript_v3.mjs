// The AWS SDK for JavaScript, version 3, unchanged. Prints one JSON object: see tests/api/test_sdks.py.
import fs from "node:fs";
import { createRequire } from "node:module";

// Not `import`: that does not look in NODE_PATH.
const { Rekognition } = createRequire(import.meta.url)("@aws-sdk/client-rekognition");

const [, , endpoint, accessKeyId, secretAccessKey, photograph] = process.argv;
const settings = {
  endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1,
};
const client = new Rekognition(settings);
const CollectionId = "javascript-v3";
const Image = { Bytes: fs.readFileSync(photograph) };

await client.createCollection({ CollectionId });
const indexed = await client.indexFaces({ CollectionId, Image, ExternalImageId: "eileen" });
const found = await client.searchFacesByImage({ CollectionId, Image });
const detected = await client.detectFaces({ Image, Attributes: ["ALL"] });
const text = await client.detectText({ Image });
await client.deleteCollection({ CollectionId });
const error = await client.listFaces({ CollectionId }).catch((error) => error);
const late = new Rekognition({ ...settings, maxAttempts: 2, systemClockOffset: -3600e3 });
await late.listCollections({});
console.log(JSON.stringify({
  indexed: indexed.FaceRecords.length,
  name: found.FaceMatches[0].Face.ExternalImageId,
  detected: detected.FaceDetails.length,
  text: Array.isArray(text.TextDetections),
  error: error.name,
  request: error.$metadata.requestId,
}));
