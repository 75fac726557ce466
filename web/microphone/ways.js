/** The ways in which speech is written down for everybody, and what each is for; the developer panel has one more. */

import { t } from "../strings.js";

export const WAYS = [
  {
    mode: "realtime",
    name: t("Fast"),
    hint: t("For conversation: transcribed while you speak, answered almost at once."),
  },
  {
    mode: "quality",
    name: t("Accurate"),
    hint: t("For accuracy: each utterance is transcribed as a whole when you have finished; takes longer."),
  },
];
