/** The ways in which speech is written down and answered, and what each is for. */

export const WAYS = [
  {
    mode: "realtime",
    name: "Realtime",
    hint: "For conversation: written down while you speak, answered almost at once.",
  },
  {
    mode: "quality",
    name: "Quality",
    hint: "For getting every word right: written down as a whole when you have finished; takes longer.",
  },
  {
    mode: "legacy",
    name: "Legacy",
    hint: "For measuring what the others gain: nothing is heard before all of the answer is there.",
  },
];
