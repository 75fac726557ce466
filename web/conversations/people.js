/** Who takes part in a conversation: they read it, hear it and ask in it, under their own keys. */

import { makeDialog } from "../dialog.js";
import { make } from "../dom.js";
import { ConversationsApi } from "./api.js";
import { problemLine, quiet, tried } from "./furniture.js";

export async function openPeople(id) {
  const api = new ConversationsApi();
  const { owner, members } = await api.thread(id);
  const problem = problemLine();
  const list = make("ul", { class: "shelf", "aria-label": "People" });
  const name = make("input", { maxlength: "200", required: "", "aria-label": "Their name", placeholder: "Key name" });
  const form = make("form", { class: "share-form" }, name, make("button", { type: "submit", class: "button" }, "Add"));
  const person = (user) => {
    const remove = quiet("Remove", `Remove ${user}`);
    const entry = make("li", {}, make("div", {}, make("strong", {}, user)), remove);
    remove.addEventListener("click", () =>
      tried(problem, async () => {
        await api.removeMember(id, user);
        members.splice(members.indexOf(user), 1);
        entry.remove();
      }),
    );
    return entry;
  };
  list.append(make("li", {}, make("div", {}, make("strong", {}, owner), make("span", { class: "about" }, "Owner"))));
  list.append(...members.map(person));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const user = name.value.trim();
    void tried(problem, async () => {
      await api.addMember(id, user);
      if (!members.includes(user)) list.append(person(members[members.push(user) - 1]));
      name.value = "";
    });
  });
  const words = "They find it in their history. For listening only, share a link instead.";
  makeDialog("People", { id: "people" }, make("p", { class: "note" }, words), form, problem, list);
}
