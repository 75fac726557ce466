/** A call over WebRTC in a browser: the Realtime API on a data channel, sound on tracks; a call that breaks is made again. */

import { ApiError } from "./connection.js";
import { retryDelayMs } from "./cursor.js";

const CHANNEL = "oai-events";
const PER_EVENT = 64; // so many numbers belong to each event of the log
const LOOK_MS = 200;
const SILENCE_MS = 1_000; // the server sends something at least every 200 ms
const GATHER_MS = 1_000;
const OPEN_MS = 8_000;
const STEADY_MS = 2_000; // a connection that held so long is made again at once

/** @param {number} ms @returns {Promise<void>} */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @typedef {"off" | "connecting" | "live" | "reconnecting"} CallState
 * @typedef {{type: string, event_id: string, sequence_number: number, [field: string]: any}} CallEvent
 * A server event of the Realtime API (docs/realtime.md).
 */

export class Call {
  /**
   * `connection` leads to the server; its credential may be a client secret. `session`: the id of one that is there;
   * without it the call makes one. `query`: other parameters of the address, as `model`. `configuration`: that of
   * RTCPeerConnection, as `iceServers`. `onEvent(event)` for every server event, each once, and for "session.created" of
   * the first connection only; `onSound(stream)` with the sound of each connection, for an audio element;
   * `onTrouble(error)` for what ended the call.
   *
   * @param {{connection: import("./connection.js").Connection, session?: string | null, query?: Record<string, string>,
   *   configuration?: RTCConfiguration, onEvent?: (event: CallEvent) => void, onSound?: (stream: MediaStream) => void,
   *   onState?: (state: CallState) => void, onTrouble?: (error: Error) => void}} options
   */
  constructor({
    connection,
    session = null,
    query = {},
    configuration = {},
    onEvent = () => {},
    onSound = () => {},
    onState = () => {},
    onTrouble = () => {},
  }) {
    /** @type {CallState} */
    this.state = "off";
    this.session = session;
    /** @type {string | null} */
    this.id = null; // of the latest connection, for /v1/realtime/calls/{id}/hangup
    /** @type {RTCPeerConnection | null} */
    this.peer = null;
    /** @type {number | null} */
    this.sequenceNumber = null; // of the last event
    /** @type {string | null} */
    this.audioCursor = null; // from there on the sound was not heard yet
    this._connection = connection;
    this._query = query;
    this._configuration = configuration;
    this._onEvent = onEvent;
    this._onSound = onSound;
    this._onState = onState;
    this._onTrouble = onTrouble;
    this._attempts = 0;
    /** @type {RTCDataChannel | null} */
    this._channel = null;
    this._leave = () => {};
  }

  /** `track` is what is said, as of a microphone; it stays the caller's. After `stop` the call goes on where it was. @param {MediaStreamTrack} track */
  start(track) {
    if (this.state !== "off") return;
    this._attempts += 1;
    this._is("connecting");
    const attempt = this._attempts;
    this._run(attempt, track).catch((error) => {
      if (attempt !== this._attempts) return;
      this.stop();
      this._onTrouble(error);
    });
  }

  /** Leaves the call; its session stays. */
  stop() {
    this._attempts += 1;
    this._leave();
    this._is("off");
  }

  /** A client event of the Realtime API; false while there is no connection. @param {{type: string, [field: string]: any}} event */
  send(event) {
    if (this._channel?.readyState !== "open") return false;
    this._channel.send(JSON.stringify(event));
    return true;
  }

  /** One connection after the other; rejects when there was none for the patience of `connection`, or it was refused. */
  async _run(attempt, track) {
    let openAt = Date.now();
    for (let failures = 0; attempt === this._attempts; ) {
      const began = Date.now();
      if (await this._connect(attempt, track)) openAt = Date.now();
      if (attempt !== this._attempts) return;
      if (Date.now() - openAt > this._connection.patienceMs) {
        throw new ApiError({ detail: "The sound of the call cannot reach the server.", retryable: true });
      }
      this._is("reconnecting");
      failures = openAt - began > STEADY_MS ? 0 : failures + 1;
      if (failures > 0) await pause(retryDelayMs(failures, Math.random()));
    }
  }

  /** One peer connection, to its end. Resolves to whether it was open. */
  async _connect(attempt, track) {
    const peer = new RTCPeerConnection(this._configuration);
    const channel = peer.createDataChannel(CHANNEL);
    const over = new Promise((resolve) => {
      this._leave = () => resolve(undefined);
      channel.onclose = resolve;
      peer.onconnectionstatechange = () => peer.connectionState === "failed" && resolve(undefined);
    });
    channel.onopen = () => this._is("live");
    channel.onmessage = ({ data }) => this._take(JSON.parse(data));
    peer.ontrack = ({ streams }) => this._onSound(streams[0]);
    try {
      peer.addTrack(track);
      await peer.setLocalDescription();
      await Promise.race([gathered(peer), pause(GATHER_MS), over]);
      const answer = await this._offer(peer.localDescription.sdp);
      if (attempt !== this._attempts) return false;
      [this.peer, this._channel] = [peer, channel];
      await peer.setRemoteDescription({ type: "answer", sdp: answer });
      await Promise.race([over, silence(peer, () => (this.state === "live" ? SILENCE_MS : OPEN_MS))]);
      return this.state === "live";
    } finally {
      channel.onopen = channel.onmessage = channel.onclose = peer.ontrack = null;
      if (this.peer === peer) this.peer = this._channel = null;
      peer.close();
    }
  }

  /** The server's answer to an offer: it goes on after the last event and the last sound. @param {string} sdp */
  async _offer(sdp) {
    const query = new URLSearchParams(this._query);
    if (this.id !== null) query.set("call_id", this.id); // the server tells of a hang-up that was lost
    else if (this.session !== null) query.set("session_id", this.session);
    if (this.sequenceNumber !== null) {
      query.set("starting_after", String(this.sequenceNumber));
      query.set("audio_starting_after", this.audioCursor);
    }
    const kind = { "Content-Type": "application/sdp" };
    const ask = () => this._connection.once("POST", `v1/realtime/calls?${query}`, sdp, kind);
    // An offer without a session makes one: where the answer was lost, the next would make another.
    const answer = await this._connection.repeated(ask, ({ status }) => this.session !== null || status > 0);
    this.id = answer.headers.get("Location").split("/").at(-1);
    this.session ??= this.id.split("_")[1];
    return answer.text();
  }

  /** @param {CallEvent} event */
  _take(event) {
    const greeted = this.sequenceNumber !== null;
    this.sequenceNumber = event.sequence_number;
    this.audioCursor = audioCursor(event, this.audioCursor);
    if (event.type === "session.created" && greeted) return;
    if (event.type === "call.hung_up") this.stop();
    this._onEvent(event);
  }

  /** @param {CallState} state */
  _is(state) {
    if (state === this.state) return;
    this.state = state;
    this._onState(state);
  }
}

/** Where the sound goes on after an event, and after the first one: that of the next event of the log. @param {CallEvent} event @param {string | null} before */
export function audioCursor({ sequence_number: number, audio_cursor: cursor }, before) {
  return cursor ?? before ?? `${Math.floor(number / PER_EVENT) + 1}.0`;
}

/** Resolves when the offer has every address. @param {RTCPeerConnection} peer @returns {Promise<void>} */
function gathered(peer) {
  return new Promise((resolve) => {
    const look = () => peer.iceGatheringState === "complete" && resolve();
    peer.onicegatheringstatechange = look;
    look();
  });
}

/** Resolves when nothing came for so long, or the connection is closed. @param {RTCPeerConnection} peer @param {() => number} limitMs */
async function silence(peer, limitMs) {
  let [packets, at] = [-1, 0];
  while (peer.connectionState !== "closed") {
    const { packetsReceived = 0 } = [...(await peer.getStats()).values()].find(({ type }) => type === "inbound-rtp") ?? {};
    if (packetsReceived !== packets) [packets, at] = [packetsReceived, performance.now()];
    else if (performance.now() - at > limitMs()) return;
    await pause(LOOK_MS);
  }
}
