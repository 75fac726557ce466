// The stock openai package for Node, with nothing changed but its base URL.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";
import OpenAI, { toFile } from "openai";

const { BASE_URL, SOUND, STORY, SAID } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: "any", maxRetries: 0 });
const messages = [{ role: "user", content: "A story, please." }];
const tools = [
  { type: "function", function: { name: "get_weather", parameters: { type: "object", properties: {} } } },
];

test("it lists models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("scripted"));
  assert.equal((await client.models.retrieve("gpt-4o")).id, "scripted");
});

test("it asks", async () => {
  const made = await client.chat.completions.create({ model: "gpt-4o", messages });
  assert.equal(made.choices[0].message.content, STORY);
});

test("it streams", async () => {
  const stream = await client.chat.completions.create({
    model: "gpt-4o",
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, STORY);
  assert.ok(usage.completion_tokens > 1);
});

test("it may stop early", async () => {
  const asked = [{ role: "user", content: "slowly" }];
  const stream = await client.chat.completions.create({ model: "gpt-4o", messages: asked, stream: true });
  for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
});

test("it runs functions", async () => {
  const runner = client.chat.completions.runTools({
    model: "gpt-4o",
    messages: [{ role: "user", content: "How is the weather?" }],
    tools: [
      {
        type: "function",
        function: {
          name: "get_weather",
          parameters: { type: "object", properties: {} },
          parse: JSON.parse,
          function: ({ city }) => `sunny in ${city}`,
        },
      },
    ],
  });
  assert.equal(await runner.finalContent(), STORY);
});

test("its stream helper puts calls together", async () => {
  const asked = [{ role: "user", content: "How is the weather?" }];
  const stream = client.chat.completions.stream({ model: "gpt-4o", messages: asked, tools });
  const made = await stream.finalChatCompletion();
  assert.equal(made.choices[0].finish_reason, "tool_calls");
  assert.equal(made.choices[0].message.tool_calls[0].function.name, "get_weather");
});

test("it hears the answer", async () => {
  const audio = { voice: "alloy", format: "wav" };
  const made = await client.chat.completions.create({
    model: "gpt-4o-audio-preview",
    messages,
    modalities: ["text", "audio"],
    audio,
  });
  const sound = Buffer.from(made.choices[0].message.audio.data, "base64");
  assert.equal(sound.subarray(0, 4).toString(), "RIFF");
});

test("it speaks", async () => {
  const answer = await client.audio.speech.create({ model: "tts-1", voice: "nova", input: STORY });
  assert.equal(answer.headers.get("content-type"), "audio/mpeg");
  assert.ok((await answer.arrayBuffer()).byteLength > 4000);
});

test("it writes down", async () => {
  const file = fs.createReadStream(SOUND);
  const made = await client.audio.transcriptions.create({ model: "whisper-1", file });
  assert.equal(made.text, SAID);
});

test("it writes down with words", async () => {
  const made = await client.audio.transcriptions.create({
    model: "whisper-1",
    file: await toFile(fs.readFileSync(SOUND), "card.wav"),
    response_format: "verbose_json",
    timestamp_granularities: ["word"],
  });
  assert.deepEqual(made.words.map((word) => word.word), SAID.split(" "));
});

test("it streams what was said", async () => {
  const stream = await client.audio.transcriptions.create({
    model: "gpt-4o-mini-transcribe",
    file: fs.createReadStream(SOUND),
    stream: true,
  });
  const events = [];
  for await (const event of stream) events.push(event);
  assert.equal(events.at(-1).type, "transcript.text.done");
  assert.equal(events.at(-1).text, SAID);
});

test("it raises its own errors", async () => {
  await assert.rejects(client.chat.completions.create({ model: "claude", messages }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model: "gpt-4o", messages, n: 2 }), (error) => {
    return error instanceof OpenAI.BadRequestError && error.code === "unsupported_value" && error.param === "n";
  });
});
