/** Tells the lock screen and the headset what is heard; their buttons reach into the player. */

import { titleOf } from "./chapters-view.js";

const SILENCE_S = 10; // shorter ones are not told of

/** A sound of silence: browsers tell only of media elements, and ours comes out of an audio graph. */
function silence() {
  const rate = 8_000;
  const bytes = new Uint8Array(44 + SILENCE_S * rate).fill(128);
  const view = new DataView(bytes.buffer);
  const words = [[0, 0x52494646], [8, 0x57415645], [12, 0x666d7420], [36, 0x64617461]]; // RIFF, WAVE, fmt, data
  for (const [at, word] of words) view.setUint32(at, word);
  const numbers = [[4, 36 + SILENCE_S * rate], [16, 16], [20, 0x00010001], [24, rate], [28, rate], [32, 0x00080001], [40, SILENCE_S * rate]];
  for (const [at, number] of numbers) view.setUint32(at, number, true);
  const sound = new Audio(URL.createObjectURL(new Blob([bytes], { type: "audio/wav" })));
  sound.loop = true;
  return sound;
}

/** A chapter is told as a track of its story. */
const named = (title, chapter) => ({ artist: "Rhapsode", ...(chapter ? { title: titleOf(chapter), album: title } : { title }) });

export class MediaControls {
  /** Handlers: onPause, onSkip, onBack, onNext(by), onStop, onSeek(ms). */
  constructor({ onPause, onSkip, onBack, onNext, onStop, onSeek }) {
    this._session = navigator.mediaSession;
    this._sound = null;
    this._told = "";
    const seek = ({ seekTime }) => onSeek(seekTime * 1_000);
    const steps = { nexttrack: () => onNext(1), previoustrack: () => onNext(-1), seekforward: onSkip, seekbackward: onBack };
    const actions = { play: onPause, pause: onPause, stop: onStop, seekto: seek, ...steps };
    for (const [action, handle] of Object.entries(actions)) this._session?.setActionHandler(action, handle);
  }

  /** `title` null: nothing is heard. */
  show({ title, chapter = null, paused, ms = 0, ofMs = 0, speed }) {
    if (!this._session) return;
    const state = title === null ? "none" : paused ? "paused" : "playing";
    const told = [state, title, chapter && titleOf(chapter), speed, Math.round(ofMs / 1_000), Math.round(ms / 5_000)].join();
    if (told === this._told) return;
    this._told = told;
    this._session.playbackState = state;
    this._session.metadata = title === null ? null : new MediaMetadata(named(title, chapter));
    const [position, duration] = [Math.min(ms, ofMs) / 1_000, ofMs / 1_000];
    if (title !== null && ofMs) this._session.setPositionState({ position, duration, playbackRate: speed });
    if (state === "playing") void (this._sound ??= silence()).play().catch(() => {}); // not allowed yet: told without it
    else this._sound?.pause();
  }
}
