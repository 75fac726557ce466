/** The text of a file that is opened, to be put into the box. */

import { byId, say } from "./dom.js";
import { upload } from "./microphone/upload.js";
import { t } from "./strings.js";

const MOST_CHARS = 400_000; // which the server takes as one text
const MOST_BYTES = 4 * MOST_CHARS;
const TEXT = /\.(txt|text|md|markdown)$/i;

/** `{text}` or `{problem}`. Rejects with a Problem where the server reads it and cannot. */
export const openedText = (file) => (TEXT.test(file.name) ? textOf(file) : documentText(file));

/** `{text}` of a PDF, DOCX or HTML file, which the server reads and does not keep. */
function documentText(file) {
  const form = new FormData();
  form.append("file", file, file.name);
  const onProgress = (share) => say(byId("sending"), share < 1 ? t("Sending, {share} %", { share: Math.round(share * 100) }) : t("Reading {name}…", { name: file.name }));
  return upload("v1/documents/text", form, { onProgress, signal: new AbortController().signal });
}

/** `{text}` or `{problem}`. */
async function textOf(file) {
  const { name, size } = file;
  const text = size > MOST_BYTES ? "" : await file.text().catch(() => "\0"); // gone meanwhile, or a folder
  if (size > MOST_BYTES || text.length > MOST_CHARS) return { problem: t("{name} is too large: at most 400,000 characters are read.", { name }) };
  return /\0|\ufffd/.test(text) ? { problem: t("{name} is no text file in UTF-8.", { name }) } : { text };
}
