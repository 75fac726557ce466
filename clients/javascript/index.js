/** Client of a Rhapsode server: ask, listen, and follow a session's events through dropped connections. */

export { Rhapsode, Session, Turn } from "./client.js";
export { ApiError } from "./connection.js";
export { Call } from "./call.js";
export { Chat } from "./chat.js";
export { microphone } from "./microphone/microphone.js";
export { VoiceConversation } from "./voice.js";
