// The verdict on each vector by a program that knows the files of the contract and JSON Schema alone.
// node vectors.mjs CONTRACT_DIRECTORY: a line of JSON for each vector of CONTRACT_DIRECTORY/vectors.jsonl.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";

const directory = process.argv[2];
const LONGEST_VALUE = 512 * 1024;
const UUID = /^([0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const ajv = new Ajv2020();
const schemas = Object.fromEntries(["writer", "reader"].map((side) => [side, schemasOf(side)]));

function schemasOf(side) {
  const found = {};
  for (const file of readdirSync(join(directory, side))) {
    const schema = JSON.parse(readFileSync(join(directory, side, file), "utf8"));
    found[schema.title] = ajv.compile(schema);
  }
  return found;
}

function bytesOf(content) {
  if (content === null) return null;
  return typeof content === "string" ? Buffer.from(content, "utf8") : Buffer.from(content.base64, "base64");
}

// Without a schema registry's frame: a magic byte, and an id of 4 or of 16 bytes.
function unframed(value) {
  if (value[0] === 0 && value.length >= 5) return value.subarray(5);
  return value[0] === 1 && value.length >= 17 ? value.subarray(17) : value;
}

// The event that a record holds; an exception if its bytes hold none.
function eventIn(value, headers) {
  const named = headers.map(([name, content]) => [name.toLowerCase(), bytesOf(content)]);
  const attributes = named.filter(([name, content]) => name.startsWith("ce_") && content !== null);
  const contentType = named.find(([name, content]) => name === "content-type" && content !== null)?.[1].toString();
  const text = utf8.decode(unframed(value));
  const structured = contentType?.toLowerCase().startsWith("application/cloudevents") ?? text.includes('"specversion"');
  const document = JSON.parse(text);
  if (structured || attributes.length === 0) return document;
  const event = Object.fromEntries(attributes.map(([name, content]) => [name.slice(3), utf8.decode(content)]));
  return { ...event, data: document };
}

function judged(vector) {
  const [key, value] = [bytesOf(vector.key), bytesOf(vector.value)];
  if (value === null) {
    const refused = vector.topic === "model_usage" || vector.headers.some(([name]) => name.startsWith("ce_"));
    return { accepted: !refused && key !== null && UUID.test(key.toString("latin1")) };
  }
  let event;
  try {
    event = eventIn(value, vector.headers);
  } catch {
    return { accepted: false };
  }
  const [writer, reader] = ["writer", "reader"].map((side) => schemas[side][event?.type]?.(event) ?? false);
  return { accepted: reader && value.length <= (vector.max_value_bytes ?? LONGEST_VALUE), writer, reader };
}

for (const line of readFileSync(join(directory, "vectors.jsonl"), "utf8").trimEnd().split("\n")) {
  const vector = JSON.parse(line);
  console.log(JSON.stringify({ name: vector.name, ...judged(vector) }));
}
