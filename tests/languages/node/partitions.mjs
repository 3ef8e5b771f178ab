// The partition of each key on standard input, of PARTITIONS: node partitions.mjs PARTITIONS.
import { createInterface } from "node:readline";
import { Partitioners } from "kafkajs";

const partitionMetadata = Array.from({ length: Number(process.argv[2]) }, (_, partitionId) => ({ partitionId, leader: 1 }));
const partitioner = Partitioners.DefaultPartitioner();
for await (const key of createInterface({ input: process.stdin })) {
  console.log(partitioner({ topic: "t", partitionMetadata, message: { key: Buffer.from(key, "base64") } }));
}
