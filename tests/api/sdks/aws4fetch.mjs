// aws4fetch, which signs as browsers and edge workers need it. Prints one JSON object: see
// tests/api/test_sdks.py.
import fs from "node:fs";
import { createRequire } from "node:module";

const { AwsClient } = createRequire(import.meta.url)("aws4fetch");

const [, , endpoint, accessKeyId, secretAccessKey, photograph] = process.argv;
const client = new AwsClient({
  accessKeyId, secretAccessKey, region: "us-east-1", service: "rekognition", retries: 0,
});
const CollectionId = "aws4fetch";
const Image = { Bytes: fs.readFileSync(photograph).toString("base64") };

function send(operation, request) {
  return client.fetch(endpoint, {
    body: JSON.stringify(request),
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": `RekognitionService.${operation}`,
    },
  });
}

async function ask(operation, request) {
  const response = await send(operation, request);
  const answer = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer;
}

await ask("CreateCollection", { CollectionId });
const indexed = await ask("IndexFaces", { CollectionId, Image, ExternalImageId: "eileen" });
const found = await ask("SearchFacesByImage", { CollectionId, Image });
const detected = await ask("DetectFaces", { Image, Attributes: ["ALL"] });
const text = await ask("DetectText", { Image });
await ask("DeleteCollection", { CollectionId });
const refused = await send("ListFaces", { CollectionId });
console.log(JSON.stringify({
  indexed: indexed.FaceRecords.length,
  name: found.FaceMatches[0].Face.ExternalImageId,
  detected: detected.FaceDetails.length,
  text: Array.isArray(text.TextDetections),
  error: refused.headers.get("x-amzn-errortype"),
  request: refused.headers.get("x-amzn-requestid"),
}));
