/** Formulas of TeX in answers as MathML, by a library that only pages with formulas load. */

import { make } from "./dom.js";

const MOST_CHARS = 4_000; // a longer one stays as it is written
const SIZES = [20, 240]; // em and pt: the largest space that a formula may ask for
const DEFINES = /\\(?:[egx]?def|(?:re)?newcommand|providecommand)(?![a-zA-Z@])/; // of 4,000 letters it could make a million

const address = (name) => new URL(`./vendor/${name}`, import.meta.url).href;
let loading = null;

/** Resolves once formulas can be typeset, with whether they can. */
export const typesetting = () =>
  (loading ??= new Promise((resolve) => {
    const script = make("script", { src: address("temml.min.js") });
    script.addEventListener("load", () => resolve(true));
    script.addEventListener("error", () => {
      loading = null;
      resolve(false);
    });
    document.head.append(make("link", { rel: "stylesheet", href: address("temml.css") }), script);
  }));

/** The element of a formula; null while the library is not there, and for what it cannot read. */
export function typeset(tex, display) {
  const { temml } = globalThis;
  if (!temml || tex.length > MOST_CHARS || DEFINES.test(tex)) return null;
  const holder = make("span");
  try {
    temml.render(tex, holder, { displayMode: display, throwOnError: true, maxSize: SIZES, wrap: "tex" });
  } catch {
    return null; // "x^" ends in a TypeError of the library's own
  }
  // \label{follow} would take the name of a part of the page, \ref{follow} lead to it.
  for (const named of holder.querySelectorAll("[id], [href]")) for (const name of ["id", "href"]) named.removeAttribute(name);
  return holder;
}
