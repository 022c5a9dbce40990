/* What every page gets beyond HTML. Everything here is a help: pages work without it. */
"use strict";

(() => {
  /* Moments in the viewer's own zone; fresh ones as "3 min ago", with the moment as title. */
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  function ago(ms) {
    const seconds = (ms - Date.now()) / 1000;
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
    return relative.format(Math.trunc(seconds / size), unit);
  }

  function tellTimes(root) {
    for (const element of root.querySelectorAll("time[data-ms]")) {
      const ms = Number(element.dataset.ms);
      if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) continue;
      const text = exact.format(ms);
      const shown = "relative" in element.dataset ? ago(ms) : text;
      if (element.textContent !== shown) element.textContent = shown;
      if (element.title !== text) element.title = text;
    }
  }

  /* A question before something is done that cannot be undone: data-ask on a form or one of its buttons. */
  let asked = null;

  function ask(event) {
    const form = event.target;
    const text = event.submitter?.dataset.ask ?? form.dataset.ask;
    if (!text || asked === form) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const submitter = event.submitter;
    const dialog = document.createElement("dialog");
    const question = document.createElement("p");
    question.textContent = text;
    question.id = "question";
    dialog.setAttribute("aria-labelledby", "question");
    const buttons = document.createElement("div");
    buttons.className = "actions";
    const no = document.createElement("button");
    no.textContent = "Cancel";
    no.addEventListener("click", () => dialog.close());
    const yes = document.createElement("button");
    yes.textContent = submitter?.textContent.trim() || "Yes";
    yes.className = submitter?.classList.contains("danger") ? "danger" : "primary";
    yes.addEventListener("click", () => {
      dialog.close();
      asked = form;
      form.requestSubmit(submitter);
      asked = null;
    });
    buttons.append(no, yes);
    dialog.append(question, buttons);
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  /* A button that posts says so until the next page is there, and is not pressed twice. */
  function press(event) {
    if (event.defaultPrevented || event.target.getAttribute("method") !== "post") return;
    event.submitter?.setAttribute("aria-busy", "true");
  }

  function release() {
    for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
  }

  /* A key that leads to a field: data-shortcut. */
  function jump(event) {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
    const field = [...document.querySelectorAll("[data-shortcut]")].find((one) => one.dataset.shortcut === event.key);
    if (!field) return;
    event.preventDefault();
    field.focus();
  }

  /* Buttons with data-copy put the text of the element named there on the clipboard. */
  async function copy(event) {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy)?.textContent ?? "";
    await navigator.clipboard.writeText(text.trim());
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  /* Files dropped on a label of class "drop" are those of the field inside. */
  function drop(event) {
    const zone = event.target.closest?.(".drop");
    if (!zone) return;
    event.preventDefault();
    zone.classList.toggle("over", event.type === "dragover");
    if (event.type !== "drop") return;
    const field = zone.querySelector("input[type=file]");
    field.files = event.dataTransfer.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /* Menus close when one goes elsewhere. */
  function closeMenus(event) {
    for (const open of document.querySelectorAll("details.account[open]")) {
      if (event.key === "Escape" || (event.type === "click" && !open.contains(event.target))) open.open = false;
    }
  }

  /* What a page asks by itself, now and then, keeps no session alive. */
  function mark(event) {
    const { sourceElement, request } = event.detail.ctx;
    if (sourceElement?.getAttribute?.("hx-trigger")?.includes("every ")) request.headers["X-By-Itself"] = "true";
  }

  document.addEventListener("htmx:config:request", mark);
  document.addEventListener("submit", ask, true);
  document.addEventListener("submit", press);
  addEventListener("pageshow", release);
  document.addEventListener("keydown", jump);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeMenus(event); });
  document.addEventListener("click", closeMenus);
  document.addEventListener("click", copy);
  for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, drop);
  if (matchMedia("(max-width: 860px)").matches) document.querySelector(".burger")?.removeAttribute("open");
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  tellTimes(document);
  document.addEventListener("htmx:after:swap", () => tellTimes(document));
  new MutationObserver((changes) => {
    if (changes.some((change) => [...change.addedNodes].some((node) => node.nodeType === 1))) tellTimes(document);
  }).observe(document.body, { childList: true, subtree: true });
  setInterval(() => tellTimes(document), 15000);
})();
