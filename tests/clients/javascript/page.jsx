// A page with `useRhapsode` as docs/clients.md has it.
import { useRhapsode } from "@rhapsode/client/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

const query = new URLSearchParams(location.search);
const settings = { speech_speed: Number(query.get("speed")) };
window.voices = [];
window.statuses = [];

function Chat() {
  const { messages, status, voice, error, ask, say, stop, startVoice, stopVoice } = useRhapsode({ url: query.get("url"), settings });
  if (window.voices.at(-1) !== voice) window.voices.push(voice);
  if (window.statuses.at(-1) !== status) window.statuses.push(status);
  return (
    <main data-status={status} data-voice={voice}>
      {messages.map(({ id, role, text, status }) => (
        <p key={id} className={role} data-status={status}>
          {text}
        </p>
      ))}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          ask(event.target.elements.prompt.value);
        }}
      >
        <input name="prompt" />
        <button>Send</button>
      </form>
      <button onClick={() => say("Good morning.")}>Greet</button>
      <button onClick={stop}>Stop</button>
      <button onClick={voice === "off" ? startVoice : stopVoice}>Voice</button>
      {error && <p id="error">{`${error.code} ${error.field}`}</p>}
    </main>
  );
}

function Page() {
  const [shown, show] = useState(true);
  return (
    <>
      {shown && <Chat />}
      <button onClick={() => show(!shown)}>Leave</button>
    </>
  );
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
