// A page with `useChat` as its documentation has it, beside a player for the `data-audio` parts.
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport, isToolUIPart, lastAssistantMessageIsCompleteWithToolCalls } from "ai";
import { useState } from "react";
import { createRoot } from "react-dom/client";

const asked = new URLSearchParams(location.search);
const id = asked.get("chat");
const chats = "/v1/ui/chat";
const transport = new DefaultChatTransport({
  api: `${chats}?audio=${asked.get("audio") ?? "none"}`,
  body: asked.has("settings") ? { settings: JSON.parse(asked.get("settings")) } : {},
});

// Sound is played at its place in the answer, so that what is sent again after a reload is heard once.
window.played = { ms: 0, peak: 0, finished: [] };
let audio, meter, zero;

function play({ at_ms, ms, rate, data }) {
  if (!audio) {
    audio = new AudioContext();
    meter = audio.createAnalyser();
    meter.connect(audio.destination);
    zero = audio.currentTime + 0.2 - at_ms / 1000;
    setInterval(listen, 50);
  }
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const samples = new Int16Array(bytes.buffer);
  if (!samples.length) return;
  const buffer = audio.createBuffer(1, samples.length, rate);
  buffer.copyToChannel(Float32Array.from(samples, (one) => one / 32768), 0);
  const source = audio.createBufferSource();
  source.buffer = buffer;
  source.connect(meter);
  source.onended = () => window.played.finished.push(at_ms);
  source.start(Math.max(audio.currentTime, zero + at_ms / 1000));
  window.played.ms += ms;
}

function listen() {
  const wave = new Float32Array(meter.fftSize);
  meter.getFloatTimeDomainData(wave);
  window.played.peak = Math.max(window.played.peak, ...wave.map(Math.abs));
}

function Part({ part }) {
  if (part.type === "text") return <span className="text">{part.text}</span>;
  if (part.type === "source-url") return <a className="source" href={part.url}>{part.title}</a>;
  if (part.type === "source-document") return <i className="document">{part.title} ({part.mediaType})</i>;
  if (part.type === "data-speech") return <audio src={part.data.audio} preload="none" controls />;
  if (!isToolUIPart(part)) return null;
  return <code className="tool" data-state={part.state}>{JSON.stringify(part.output ?? part.errorText ?? part.input)}</code>;
}

function Chat({ known }) {
  const [text, setText] = useState("");
  const chat = useChat({
    id,
    messages: known,
    resume: true,
    transport,
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    onData: (part) => part.type === "data-audio" && play(part.data),
    onToolCall: ({ toolCall }) => {
      if (!toolCall.dynamic)
        chat.addToolOutput({ tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output: { celsius: 7 } });
    },
  });
  const stop = () => {
    fetch(`${chats}/${id}/stop`, { method: "POST" });
    chat.stop();
  };
  return (
    <main data-status={chat.status}>
      {chat.messages.map((message) => (
        <p key={message.id} className={message.role}>
          {message.parts.map((part, number) => <Part key={number} part={part} />)}
        </p>
      ))}
      {chat.error && <b id="error">{chat.error.message}</b>}
      <form onSubmit={(event) => { event.preventDefault(); chat.sendMessage({ text }); setText(""); }}>
        <input value={text} onChange={(event) => setText(event.target.value)} />
        <button>Send</button>
      </form>
      <button onClick={stop}>Stop</button>
      <button onClick={() => chat.regenerate()}>Again</button>
    </main>
  );
}

const answer = await fetch(`${chats}/${id}`);
const known = answer.ok ? (await answer.json()).messages : [];
createRoot(document.getElementById("root")).render(<Chat known={known} />);
