// Shows openapi.json as a page: every route with its parameters, bodies and answers. Nothing comes from elsewhere.

const LONGEST = 6;

/** A new element with text and children; text is never read as HTML. */
const element = (name, text = "", ...children) => {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
};

/** The schema with what it refers to written out, so many levels deep. */
const resolved = (schema, document_, depth = 0) => {
  if (Array.isArray(schema)) return schema.map((one) => resolved(one, document_, depth));
  if (schema === null || typeof schema !== "object") return schema;
  const name = schema.$ref?.split("/").pop();
  if (name !== undefined && depth < LONGEST) return resolved(document_.components.schemas[name], document_, depth + 1);
  if (name !== undefined) return name;
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, resolved(value, document_, depth)]));
};

const schemaBlock = (title, schema, document_) => {
  const block = element("details", "", element("summary", title));
  block.addEventListener("toggle", () => {
    if (block.open && block.childElementCount === 1)
      block.append(element("pre", JSON.stringify(resolved(schema, document_), null, 1)));
  });
  return block;
};

const parameters = (given) => {
  const rows = given.map((one) =>
    element(
      "tr",
      "",
      element("td", "", element("code", one.name)),
      element("td", one.in + (one.required ? ", required" : "")),
      element("td", one.description ?? ""),
    ),
  );
  return element("table", "", ...rows);
};

const route = (method, path, told, document_) => {
  const line = element("summary", "", element("b", method.toUpperCase()), element("code", path));
  line.append(` ${told.summary ?? ""}`);
  const shown = element("details", "", line, element("p", told.description ?? ""));
  shown.dataset.words = `${method} ${path} ${told.summary ?? ""} ${told.description ?? ""}`.toLowerCase();
  if (told.parameters?.length) shown.append(parameters(told.parameters));
  for (const [type, body] of Object.entries(told.requestBody?.content ?? {}))
    shown.append(schemaBlock(`Body, ${type}`, body.schema, document_));
  for (const [status, answer] of Object.entries(told.responses ?? {}))
    for (const [type, body] of Object.entries(answer.content ?? { "": {} }))
      shown.append(schemaBlock(`${status} ${answer.description} ${type}`, body.schema ?? {}, document_));
  return shown;
};

const show = (document_) => {
  const groups = new Map();
  for (const [path, methods] of Object.entries(document_.paths))
    for (const [method, told] of Object.entries(methods)) {
      const tag = told.tags?.[0] ?? "others";
      groups.set(tag, [...(groups.get(tag) ?? []), route(method, path, told, document_)]);
    }
  for (const [tag, routes] of groups)
    document.querySelector("#routes").append(element("section", "", element("h2", tag), ...routes));
  document.querySelector("#version").textContent = `Version ${document_.info.version}.`;
};

const search = (words) => {
  for (const one of document.querySelectorAll("details[data-words]"))
    one.hidden = !words.every((word) => one.dataset.words.includes(word));
  for (const section of document.querySelectorAll("section"))
    section.hidden = section.querySelector("details[data-words]:not([hidden])") === null;
};

document.querySelector("#search").addEventListener("input", ({ target }) => {
  search(target.value.toLowerCase().split(/\s+/));
});
try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`openapi.json: HTTP status ${answer.status}`);
  show(await answer.json());
} catch (error) {
  const trouble = document.querySelector("#trouble");
  trouble.textContent = `Nothing can be shown: ${error.message}`;
  trouble.hidden = false;
}
