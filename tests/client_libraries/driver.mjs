/** Runs one case of the conformance tests: its name and parameters in a line of JSON on stdin, its answer on stdout. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import { ApiError, Chat, Rhapsode } from "../../clients/javascript/index.js";

const shown = ({ seq, turn, type, data, audio }) => ({
  seq,
  turn,
  type,
  data,
  audio: createHash("sha256").update(audio ?? "").digest("hex"),
});

async function all(events) {
  const found = [];
  for await (const event of events) found.push(shown(event));
  return found;
}

async function refusal(action) {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { code, status, field, retryable, retryAfterS: retry_after_s } = error;
    return { code, status, field, retryable, retry_after_s };
  }
  return null;
}

async function* pieces(pcm, bytes) {
  for (let at = 0; at < pcm.length; at += bytes) yield new Uint8Array(pcm.subarray(at, at + bytes));
}

const cases = {
  async answers(client) {
    const session = await client.create({ title: "A story", speak: false });
    const turn = await session.ask("Tell me a story");
    const deltas = [];
    for await (const delta of turn.deltas()) deltas.push(delta);
    return {
      deltas,
      title: (await session.view()).title,
      again: await client.ask("Once more", { speak: false }),
      brief: await client.ask("In brief", { speak: false, max_tokens: 10 }),
    };
  },

  events: (client, { session, after, ...query }) => all(client.session(session).events(after, query)),

  async fork(client, { session, at }) {
    const fork = await client.session(session).fork({ at });
    const events = await all(fork.events(0, { follow: false }));
    await fork.delete();
    return { events, gone: await refusal(() => fork.view()) };
  },

  async commands(client) {
    const session = await client.create();
    await session.change({ speech_speed: 1.25 });
    const turn = await session.say("Good morning to all of you.");
    const spoken = await turn.text();
    const audio = await (await session.audio("pcm16")).arrayBuffer();
    await session.pause();
    await session.resume();
    const stop = await refusal(() => session.stop());
    return { spoken, bytes: audio.byteLength, settings: (await session.view()).settings, stop };
  },

  async refusals(client, { absent }) {
    return {
      settings: await refusal(() => client.create({ speech_speed: 99 })),
      session: await refusal(() => all(client.session(absent).events())),
      change: await refusal(() => client.session(absent).change({ voice: "joe" })),
    };
  },

  async patience(client, { later, much_later }) {
    const session = await client.create({ speak: false });
    const turn = await session.ask(later);
    return { text: await turn.text(), much_later: await refusal(() => session.ask(much_later)) };
  },

  /** Of a server that goes away, for longer than it is waited for, and is back. */
  async chat(client, { session }) {
    client.connection.patienceMs = 200;
    const chat = new Chat({ client, session });
    const told = [];
    await new Promise((resolve) => {
      chat.subscribe(() => {
        const { error, messages } = chat.snapshot();
        const code = error && error.code;
        if (code !== (told.at(-1) ?? null)) told.push(code);
        if (messages.at(-1)?.status === "complete") resolve();
      });
    });
    return { told, text: chat.snapshot().messages.at(-1).text };
  },

  async listen(client, { file, bytes }) {
    const session = await client.create({ speak: false });
    return all(session.listen(pieces(readFileSync(file), bytes)));
  },

  async interrupt(client, { file, bytes }) {
    const session = await client.create();
    const turn = await session.ask("Tell it at length");
    const spoken = async function* () {
      for await (const event of session.events()) if (event.type === "audio.chunk") break;
      for await (const piece of pieces(readFileSync(file), bytes)) {
        yield piece;
        await new Promise((resolve) => setTimeout(resolve, bytes / 32));
      }
    };
    return { turn: turn.number, events: await all(session.listen(spoken())) };
  },
};

const { name, url, key, ...parameters } = JSON.parse(await text(process.stdin));
const answer = await cases[name](new Rhapsode(url, { key }), parameters);
process.stdout.write(JSON.stringify(answer), () => process.exit(0)); // what a case has left open would keep Node here
