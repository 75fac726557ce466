/** Recordings to be listened to: chosen or dropped, one at a time. Other files that are dropped are the chat's. */

import { Api, Problem } from "../api.js";
import { asSentence, byId, clockTime, say } from "../dom.js";
import { t } from "../strings.js";
import { upload } from "./upload.js";

const SOUND = /\.(aac|flac|m4a|m4b|mkv|mov|mp3|mp4|oga|ogg|opus|wav|webm)$/i;
const isSound = ({ type, name }) => /^(audio|video)\//.test(type) || SOUND.test(name);
const holdsFiles = ({ dataTransfer }) =>
  document.body.dataset.place === "chat" && (dataTransfer?.types.includes("Files") ?? false);

export class Recordings {
  /** `begin()`: the session, which is made if need be; `attach(files)`: what is no sound was dropped. */
  constructor({ begin, attach }) {
    this._begin = begin;
    this._attach = attach;
    this._api = new Api();
    this._file = null;
    this._sent = 0;
    this._cancel = null;
    const chooser = byId("recording-file");
    byId("recording").hidden = false;
    byId("recording").addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", () => {
      if (chooser.files.length) void this.send(chooser.files[0]);
      chooser.value = "";
    });
    byId("recording-cancel").addEventListener("click", () => this._cancel?.abort());
    this._bindDrop();
  }

  async send(file) {
    if (this._file) return;
    this._file = file;
    this._sent = 0;
    this._cancel = new AbortController();
    say(byId("recording-trouble"), null);
    this.draw({});
    try {
      const session = await this._begin();
      const url = this._api.url(session.id, "/recordings", { name: file.name.slice(-200) });
      const heard = await upload(url, file, { signal: this._cancel.signal, onProgress: (share) => this._progress(share) });
      if (!heard.text) say(byId("recording-trouble"), t("No words were heard in {name}.", { name: file.name }));
    } catch (error) {
      this._failed(error, file);
    } finally {
      this._file = null;
      this.draw({});
    }
  }

  /** `inputs`: those that are open in the session. */
  draw(inputs) {
    byId("listening-to").hidden = this._file === null;
    byId("recording").disabled = this._file !== null;
    if (!this._file) return;
    const input = Object.values(inputs).find(({ source, name }) => source === "file" && name === this._file.name);
    const bar = byId("recording-progress");
    if (input) {
      const now = clockTime(input.ms);
      const time = input.totalMs ? t("{now} of {end}", { now, end: clockTime(input.totalMs) }) : now;
      say(byId("recording-state"), t("Listening to {name}: {time}", { name: this._file.name, time }));
      if (input.totalMs) bar.value = input.ms / input.totalMs;
      else bar.removeAttribute("value");
    } else {
      say(byId("recording-state"), t("Sending {name}", { name: this._file.name }));
      bar.value = this._sent;
    }
  }

  _progress(share) {
    this._sent = share;
    byId("recording-progress").value = share;
  }

  _failed(error, file) {
    if (error instanceof DOMException && error.name === "AbortError") return; // as was wished
    if (!(error instanceof Problem)) throw error;
    say(byId("recording-trouble"), `${file.name}: ${asSentence(error.message)}`);
  }

  _bindDrop() {
    const mark = (isOver) => (document.body.dataset.dropping = String(isOver));
    addEventListener("dragover", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      mark(true);
    });
    addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? mark(false));
    addEventListener("drop", (event) => {
      mark(false);
      if (!holdsFiles(event)) return;
      event.preventDefault();
      const files = [...event.dataTransfer.files];
      const [sound] = files.filter(isSound);
      const others = files.filter((file) => !isSound(file));
      if (others.length) this._attach(others);
      if (sound) void this.send(sound);
    });
  }
}
