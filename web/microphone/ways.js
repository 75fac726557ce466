/** The ways in which speech is written down and answered, and what each is for. */

export const WAYS = [
  {
    mode: "realtime",
    name: "Realtime",
    hint: "For conversation: transcribed while you speak, answered almost at once.",
  },
  {
    mode: "quality",
    name: "Quality",
    hint: "For accuracy: each utterance is transcribed as a whole when you have finished; takes longer.",
  },
  {
    mode: "legacy",
    name: "Legacy",
    hint: "For comparison: nothing is spoken before the whole answer is there.",
  },
];
