/** The commands of the stories and narration faces. A refusal becomes a `Problem`. */

import { once, patiently } from "../api.js";
import { connection } from "../connection.js";

const NO_CHUNKS = 999_999_999; // the socket tells its counts on connecting; of the sound we want nothing
const COUNT_MS = 5_000;

const story = (id, rest = "") => `api/stories/${encodeURIComponent(id)}${rest}`;

export class StoriesApi {
  async create(wish) {
    return (await once("POST", "api/stories", wish)).json();
  }

  async get(id) {
    return (await patiently("GET", story(id))).json();
  }

  async remove(id) {
    await patiently("DELETE", story(id));
  }

  /** A scene to be read, `{custom_prompt}` or `{content}`, perhaps `{replaces}`; with the same key it is the same one. */
  async write(id, wish, key) {
    const path = story(id, "/scenes?wait=false");
    return (await patiently("POST", path, wish, { "Idempotency-Key": key })).json();
  }

  /** As `write`, of a `{content}`; resolves when the scene is there. */
  async give(id, wish, key) {
    return (await patiently("POST", story(id, "/scenes"), wish, { "Idempotency-Key": key })).json();
  }

  /** A scene to be heard while it is being written. */
  async tell(id, wish, key) {
    const path = story(id, "/scenes/generate-with-tts-stream");
    return (await patiently("POST", path, wish, { "Idempotency-Key": key })).json();
  }

  /** Have a scene read out afterwards; `again`: although it was, or although that failed. `voices`, `parts`: see `Voices.narrate`. */
  async narrate(scene, again, voices, parts) {
    const path = `api/tts/generate/${encodeURIComponent(scene)}`;
    return (await once("POST", path, { force_regenerate: again, voices, parts })).json();
  }

  async cancelNarration(session) {
    await patiently("DELETE", `api/tts/generate/${encodeURIComponent(session)}`);
  }

  async preferences() {
    return (await (await patiently("GET", "api/tts/settings")).json()).preferences;
  }

  /** Any part of them; answers with all. */
  async prefer(patch) {
    return (await (await patiently("PUT", "api/tts/settings", patch)).json()).preferences;
  }

  async preferencesHistory() {
    return (await (await patiently("GET", "api/tts/settings/history")).json()).history;
  }

  async models() {
    return (await patiently("GET", "v1/local-models")).json();
  }

  async voices() {
    return (await patiently("GET", "api/tts/voices")).json();
  }

  /** A sample of a voice, as the address of a sound in memory; revoke it when it is not needed any more. */
  async preview({ voice, provider, speed }) {
    const query = new URLSearchParams({ speed: String(speed), ...(provider ? { provider } : {}) });
    const answer = await once("GET", `api/tts/voices/${encodeURIComponent(voice)}/preview?${query}`);
    return URL.createObjectURL(await answer.blob());
  }

  /** Of how many pieces a narration will be, or null where nobody says so in time. */
  totalChunks(session) {
    return new Promise((resolve) => {
      const path = `ws/tts/${encodeURIComponent(session)}`;
      const socket = connection.openSocket(path, { after: String(NO_CHUNKS) });
      const answer = (total) => {
        resolve(total);
        socket.close();
      };
      const timer = setTimeout(() => answer(null), COUNT_MS);
      socket.onclose = () => {
        clearTimeout(timer);
        resolve(null);
      };
      socket.onmessage = ({ data }) => answer(JSON.parse(data).total_chunks ?? null);
    });
  }
}
