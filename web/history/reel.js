/** A session as it is told again: at its own pace, faster, or all at once and then live. */

import { Cursor } from "../client/cursor.js";
import { EventSocket } from "../client/event-socket.js";
import { connection } from "../connection.js";
import { emptyStory, reduce } from "../story.js";
import { Chronicle } from "./chronicle.js";

export class Reel {
  /** `speed`: null for all at once. Otherwise it ends where the session is now. */
  constructor({ id, url, speed, onFact, onState }) {
    this.id = id;
    this.url = url;
    this.speed = speed;
    this.story = emptyStory();
    this.chronicle = new Chronicle();
    this.head = 0;
    this._onFact = onFact;
    this._wire = new EventSocket({
      connection,
      path: url,
      query: speed === null ? {} : { speed: String(speed) },
      onHello: ({ head_seq: head }) => (this.head = Math.max(this.head, head)),
      onEvent: (fact) => this._take(fact),
      onState,
    });
    this._wire.open();
  }

  /** For a player: where to read the sound that follows `seq`. */
  cursorAt(seq) {
    return new Cursor(this._wire.cursor.generation, seq);
  }

  close() {
    this._onFact = () => {};
    this._wire.close();
  }

  _take(fact) {
    this.story = reduce(this.story, fact);
    this.chronicle.take(fact);
    this.head = Math.max(this.head, fact.seq);
    this._onFact(fact);
  }
}
