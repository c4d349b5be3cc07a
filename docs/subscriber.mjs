// Print every record of a stream from the first in the log on: node subscriber.mjs ENDPOINT STREAM
import { randomBytes } from "node:crypto";
import { decode, encode } from "@msgpack/msgpack";
import { XSubscriber } from "zeromq";

const [endpoint, stream] = process.argv.slice(2);
const [at, end, inbox] = ["\0at", "\0end", "\0to/"].map((topic) => Buffer.from(topic));
const socket = new XSubscriber({ tcpKeepalive: 1 });
const [name, held] = [randomBytes(12), []]; // of the inbox; what came while an answer was awaited
let [last, number, log] = [0, 0, null]; // Sequence of the last record, last request, id of the log

function handle(body) {
  const record = JSON.parse(Buffer.from(body).toString());
  if (record.Sequence > last) console.log((last = record.Sequence), record.RecordId);
}

async function receive(wait) { // the next message; [] if none comes in time
  socket.receiveTimeout = wait;
  const [topic, body, id] = await socket.receive().catch(() => []);
  if (id && !id.equals((log ??= id))) throw new Error("the log is another one: begin at its first record");
  return [topic, body];
}

async function missed(until) { // records between `last` and `until`, as many as one answer has
  await socket.send(Buffer.concat([Buffer.from("?"), encode([name, ++number, stream, last, until])]));
  for (const again = Date.now() + 2000; ; ) {
    const [topic, body] = await receive(Math.max(1, again - Date.now()));
    if (!topic) return missed(until); // no answer: ask again
    if (!topic.subarray(0, 4).equals(inbox)) held.push([topic, body]);
    else if (decode(body)[0] === number) return decode(body)[1];
  }
}

socket.connect(endpoint);
for (const topic of [stream + "/", end, Buffer.concat([inbox, name]), at])
  await socket.send(Buffer.concat([Buffer.from([1]), Buffer.from(topic)]));
for (let [joined, ended] = [false, false]; !ended; ) {
  const [topic, body] = held.shift() ?? (await receive(-1));
  const live = joined && /\/(face|face\+text|text|none|failed)$/.test(topic);
  const [version, newest] = (ended = topic.equals(end)) || topic.equals(at) ? decode(body) : [2, null];
  if (version !== 2) throw new Error(`the publisher has version ${version} of the protocol, not 2`);
  joined ||= newest !== null;
  const until = live ? JSON.parse(body).Sequence : newest ? (newest[stream] ?? 0) + 1 : 0;
  for (let bodies = [0]; last < until - 1 && bodies.length; )
    (bodies = await missed(until)).forEach(handle);
  last = Math.max(last, until - 1); // what the log no longer has
  if (live) handle(body);
}
