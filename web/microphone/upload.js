/** A file on its way to the server, with its progress, which `fetch` cannot tell. */

import { Problem } from "../api.js";
import { connection } from "../connection.js";
import { refusalOf } from "../refusals.js";
import { renewed } from "../staying.js";
import { t } from "../strings.js";

function problemIn({ status, statusText, responseText }) {
  try {
    const body = JSON.parse(responseText);
    const problem = new Problem({ detail: body.title ?? statusText, ...body, status });
    problem.message = refusalOf(problem);
    return problem;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return new Problem({ detail: t("The server answered {status}.", { status }), code: `http.${status}`, status });
  }
}

/** Resolves with the answer's status being good; rejects with a Problem, or as `signal` says. */
function post(url, file, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted(); // before there was anything to send
    const request = new XMLHttpRequest();
    request.open("POST", url);
    const form = file instanceof FormData; // the browser says how it is packed
    const headers = {
      ...connection.headers,
      ...(form ? {} : { "Content-Type": file.type || "application/octet-stream" }),
    };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.upload.onload = () => onProgress(1);
    request.onload = () => (request.status < 300 ? resolve(JSON.parse(request.responseText)) : reject(problemIn(request)));
    request.onerror = () => reject(new Problem({ detail: t("The server cannot be reached."), retryable: true }));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/** `onProgress(share)`: of the file that has left; the answer comes when all of it has been listened to. */
export async function upload(url, file, options) {
  try {
    return await post(url, file, options);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401 || !(await renewed())) throw error;
    return post(url, file, options);
  }
}
