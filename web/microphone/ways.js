/** The ways in which speech is written down and answered, and what each is for. */

export const WAYS = [
  {
    mode: "realtime",
    name: "Fast",
    hint: "For conversation: transcribed while you speak, answered almost at once.",
  },
  {
    mode: "quality",
    name: "Accurate",
    hint: "For accuracy: each utterance is transcribed as a whole when you have finished; takes longer.",
  },
  {
    mode: "legacy",
    name: "Legacy",
    hint: "For comparison: nothing is spoken before the whole answer is there.",
  },
];
