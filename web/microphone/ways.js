/** The ways in which speech is written down for everybody, and what each is for; the developer panel has one more. */

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
];
