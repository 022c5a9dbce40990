/* One device. All of it works without this, with more clicks. */
"use strict";

/* A moment is entered in the viewer's own zone; the server is told how far that is from UTC. */
customElements.define("zoned-time", class extends HTMLElement {
  connectedCallback() {
    const [input, offset] = this.querySelectorAll("input");
    const says = this.querySelector("span");
    if (!input || this.dataset.ready) return;
    this.dataset.ready = "true";
    if (input.value) {
      const utc = new Date(`${input.value}Z`);
      const local = new Date(utc.getTime() - utc.getTimezoneOffset() * 60000);
      if (!Number.isNaN(local.getTime())) input.value = local.toISOString().slice(0, 19);
    }
    const tell = () => {
      const moment = input.value ? new Date(input.value) : new Date();
      offset.value = String(moment.getTimezoneOffset());
    };
    input.addEventListener("input", tell);
    tell();
    says.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
});

/* Instances of a Resource: as many rows as are needed. */
customElements.define("value-rows", class extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("[data-add]");
    if (!button) return;
    button.hidden = false;
    button.addEventListener("click", () => {
      const last = this.querySelector("li:last-child");
      const from = Number(last.querySelector("[name=row]").value);
      const next = last.cloneNode(true);
      for (const part of next.querySelectorAll("[name], [id]")) {
        part.name = part.name?.replace(`v${from}`, `v${from + 1}`);
        part.id = part.id?.replace(`v${from}`, `v${from + 1}`);
        if (part.type !== "hidden" && part.tagName !== "SELECT") part.value = "";
      }
      next.querySelector("[name=row]").value = String(from + 1);
      last.after(next);
      next.querySelector(".id").focus();
    });
  }
});

/* The tree: finds while one types, and counts what is chosen. */
customElements.define("object-tree", class extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", (event) => { if (event.target.id === "find") this.find(event.target.value); });
    this.addEventListener("change", (event) => {
      if (event.target.id === "only-known") this.classList.toggle("only-known", event.target.checked);
      this.count();
    });
    this.addEventListener("reset", () => setTimeout(() => this.count()));
    for (const button of this.querySelectorAll("[data-open]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        for (const one of this.querySelectorAll("details.object")) one.open = button.dataset.open === "all";
      });
    }
    this.count();
    this.reveal();
    addEventListener("hashchange", () => this.reveal());
  }

  /* What an address points at is open. */
  reveal() {
    const wanted = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    const object = wanted?.closest("details.object");
    if (!object || object.open) return;
    object.open = true;
    wanted.scrollIntoView();
  }

  find(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (element) => words.every((word) => element.dataset.words.includes(word));
    let shown = 0;
    for (const object of this.querySelectorAll("details.object")) {
      const whole = has(object);
      let any = whole;
      for (const row of object.querySelectorAll(".resource")) {
        row.hidden = !(whole || has(row));
        if (!row.hidden) { any = true; shown += 1; }
      }
      for (const instance of object.querySelectorAll(".instance")) {
        instance.hidden = !whole && !instance.querySelector(".resource:not([hidden])");
      }
      object.hidden = !any;
      if (words.length && any) object.open = true;
    }
    this.querySelector("[data-found]").textContent = words.length ? `${shown} found` : "";
  }

  count() {
    const form = document.getElementById("picked");
    if (!form) return;
    const chosen = [...form.elements].filter((one) => one.type === "checkbox" && one.checked).length;
    form.hidden = chosen === 0;
    form.querySelector("[data-count]").textContent = `${chosen} chosen`;
  }
});

(() => {
  /* A panel of the tree can be closed again; its first field is where one goes on. */
  const closable = (root) => { for (const one of root.querySelectorAll?.(".panel [data-close]") ?? []) one.hidden = false; };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-close]");
    if (!button) return;
    const panel = document.getElementById(button.dataset.close);
    panel?.replaceChildren();
    document.querySelector(`[aria-controls="${button.dataset.close}"]`)?.focus();
  });
  document.addEventListener("htmx:after:swap", (event) => {
    closable(document);
    const target = event.detail?.ctx?.target;
    if (target?.classList?.contains("panel")) {
      target.querySelector(".value-field input, .value-field select, .value-field textarea, input:not([type=hidden])")?.focus();
    }
  });
  /* The session has ended: to where one signs in, and back. */
  document.getElementById("live")?.addEventListener("over", () => location.reload());
})();
