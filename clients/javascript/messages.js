/** A session's events as the messages of a chat. Pure. */

/**
 * @typedef {{id: string, turn: number, role: "user" | "assistant", text: string,
 *   status: "complete" | "running" | "stopped" | "failed"}} Message
 * @typedef {{messages: Message[], running: number[], seq: number}} Folded
 */

const STATUS = { "turn.completed": "complete", "turn.stopped": "stopped", "turn.failed": "failed" };

/** @returns {Folded} */
export const emptyChat = () => ({ messages: [], running: [], seq: 0 });

/** What is known after one more event. @param {Folded} chat @param {import("./events.js").SessionEvent} event @returns {Folded} */
export function fold(chat, event) {
  const next = { ...chat, seq: event.seq };
  switch (event.type) {
    case "turn.requested":
      next.messages = [...chat.messages.filter(({ turn }) => turn !== event.data.merges), ...asked(event)];
      next.running = [...chat.running.filter((turn) => turn !== event.data.merges), event.seq];
      return next;
    case "text.delta":
      next.messages = answered(chat, event.turn, (one) => ({ ...one, text: one.text + event.data.text }));
      return next;
    case "text.completed":
      if (event.data.finish !== "length") return next;
      next.messages = answered(chat, event.turn, (one) => ({ ...one, text: Array.from(one.text).slice(0, event.data.chars).join("") }));
      return next;
    case "turn.completed":
    case "turn.stopped":
    case "turn.failed":
      next.messages = answered(chat, event.turn, (one) => ({ ...one, status: STATUS[event.type] }));
      next.running = chat.running.filter((turn) => turn !== event.turn);
      return next;
    default:
      return next;
  }
}

/** A prompt has an answer; a text is what is said. @returns {Message[]} */
function asked({ seq: turn, data }) {
  const answer = { id: `${turn}-assistant`, turn, role: /** @type {const} */ ("assistant"), text: "", status: /** @type {const} */ ("running") };
  if (data.kind === "text") return [answer];
  return [{ id: `${turn}-user`, turn, role: "user", text: data.text, status: "complete" }, answer];
}

function answered({ messages }, turn, change) {
  return messages.map((one) => (one.turn === turn && one.role === "assistant" ? change(one) : one));
}
