/** Asks one question, prints the answer while it is written, saves its sound, and has the server listen to that sound. */

import { writeFile } from "node:fs/promises";

import { Rhapsode } from "../clients/javascript/index.js";

const RATE = 24_000; // of pcm16
const PIECE_BYTES = RATE / 5; // 100 ms

async function* pieces(pcm) {
  for (let at = 0; at < pcm.length; at += PIECE_BYTES) yield pcm.subarray(at, at + PIECE_BYTES);
}

const prompt = process.argv.slice(2).join(" ") || "Tell me about the sea.";
const client = new Rhapsode(); // RHAPSODE_URL and RHAPSODE_KEY
const session = await client.create({ title: prompt.slice(0, 80) });
const turn = await session.ask(prompt);
for await (const delta of turn.deltas()) process.stdout.write(delta);
console.log();

const wav = await session.audio("wav", { turn: turn.number });
await writeFile("answer.wav", Buffer.from(await wav.arrayBuffer()));
const pcm = new Uint8Array(await (await session.audio("pcm16", { turn: turn.number })).arrayBuffer());
console.log(`answer.wav: ${(pcm.length / 2 / RATE).toFixed(1)} s`);

const other = await client.create({ speak: false, listening: { reply: false } });
for await (const { type, data } of other.listen(pieces(pcm), { rate: RATE })) {
  if (type === "transcript.final") console.log(`Heard: ${data.text}`);
}
