/** A chat with a Rhapsode server, as a hook for React. */

import { useCallback, useMemo, useSyncExternalStore } from "react";

import { Chat } from "./chat.js";
import { Rhapsode } from "./client.js";

/**
 * The chat of one session. `session` is the id of one that is there; without it the first prompt or word makes one, with
 * `settings` as they are then. `apiKey` is a token of this user's, not a key; `renew()` resolves to the next one. Another
 * `url`, `apiKey` or `session` is another chat. The microphone is closed, and reading ends, when the component goes.
 *
 * @param {{url: string, apiKey?: string | null, renew?: () => Promise<string | null>, session?: string | null, settings?: Record<string, unknown>}} options
 * @returns {import("./chat.js").Snapshot & Pick<Chat, "ask" | "say" | "stop" | "startVoice" | "stopVoice">}
 */
export function useRhapsode({ url, apiKey = null, renew, session = null, settings }) {
  const chat = useMemo(
    () => new Chat({ client: new Rhapsode(url, { key: apiKey, renew }), session, settings }),
    [url, apiKey, session],
  );
  const commands = useMemo(
    () => ({
      ask: chat.ask.bind(chat),
      say: chat.say.bind(chat),
      stop: chat.stop.bind(chat),
      startVoice: chat.startVoice.bind(chat),
      stopVoice: chat.stopVoice.bind(chat),
    }),
    [chat],
  );
  const subscribe = useCallback((listener) => chat.subscribe(listener), [chat]);
  return { ...useSyncExternalStore(subscribe, chat.snapshot, chat.snapshot), ...commands };
}
