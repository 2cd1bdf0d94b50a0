/** Asks for a token. It is kept in memory: a reload of the page asks again, and a password manager may fill it in. */

import { h } from "./dom.js";

export function login(problem, busy, submit) {
  const send = (event) => {
    event.preventDefault();
    submit(new FormData(event.target).get("token").trim());
  };
  return h(
    "form",
    { key: "login", class: "panel login", onsubmit: send },
    h("h1", {}, "Sign in"),
    h("p", {}, "This router asks for a token of the admin API."),
    h("input", {
      class: "unseen",
      name: "user",
      autocomplete: "username",
      value: "router",
      tabindex: "-1",
      "aria-hidden": "true",
      readonly: true,
    }),
    h(
      "label",
      {},
      "Token",
      h("input", {
        key: "token",
        name: "token",
        type: "password",
        autocomplete: "current-password",
        required: true,
      }),
    ),
    problem && h("p", { class: "notice bad", role: "alert" }, problem),
    h(
      "div",
      { class: "buttons" },
      h("button", { type: "submit", class: "primary", disabled: busy }, "Sign in"),
    ),
    h("p", { class: "quiet" }, "It is kept in this tab only, until the tab is closed or reloaded."),
  );
}
