/** Members of a conversation: they read it, hear it and ask in it, under their own keys. */

import { makeDialog } from "../dialog.js";
import { make, problemLine } from "../dom.js";
import { ConversationsApi } from "./api.js";
import { quiet, tried } from "./furniture.js";
import { t } from "../strings.js";

export async function openPeople(id) {
  const api = new ConversationsApi();
  const { owner, members } = await api.thread(id);
  const problem = problemLine();
  const list = make("ul", { class: "shelf", "aria-label": t("People") });
  const name = make("input", { maxlength: "200", required: "", "aria-label": t("Their name"), placeholder: t("Key name") });
  const form = make("form", { class: "share-form" }, name, make("button", { type: "submit", class: "button" }, t("Add")));
  const person = (user) => {
    const remove = quiet(t("Remove"), t("Remove {name}", { name: user }));
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
  list.append(make("li", {}, make("div", {}, make("strong", {}, owner), make("span", { class: "about" }, t("Owner")))));
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
  const words = t("They find it in their history. The name is that of their key, and is not checked here. For listening only, share a link instead.");
  makeDialog(t("People"), { id: "people" }, make("p", { class: "note" }, words), form, problem, list);
}
