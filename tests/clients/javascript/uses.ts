// What a program in TypeScript may write, and what it may not.
import { ApiError, Call, Rhapsode, microphone } from "../../../clients/javascript/index.js";

export async function main(): Promise<string> {
  const client = new Rhapsode("http://127.0.0.1:8000", { key: "k", renew: async () => "next" });
  const session = await client.create({ title: "The sea", voice: "joe" });
  const turn = await session.ask("Tell me about the sea.", { max_tokens: 100 });
  for await (const event of session.events("head", { audio: "opus", turn: turn.number })) {
    if (event.type === "audio.chunk") event.data.at_ms.toFixed(event.audio.length);
    if (event.type === "text.delta") event.data.text.toUpperCase();
    // @ts-expect-error: a delta has no such field
    if (event.type === "text.delta") event.data.at_ms;
    // @ts-expect-error: there is no such event
    if (event.type === "text.dalta") return "";
  }
  for await (const event of session.listen(await microphone(), { audio: "pcm16" })) {
    if (event.type === "transcript.final") event.data.text.trim();
  }
  // @ts-expect-error: there is no such format
  session.events(0, { audio: "aac" });
  const call = new Call({ connection: client.connection, session: session.id, configuration: { iceTransportPolicy: "relay" } });
  call.start(new MediaStreamTrack());
  if (call.send({ type: "response.create" })) call.stop();
  // @ts-expect-error: a call has no such state
  if (call.state === "ringing") return "";
  // @ts-expect-error: the address is a string
  new Rhapsode(8000);
  return await turn.text().catch((error: ApiError) => error.code);
}
