/* The editor of device profiles: what is not saved is not left unawares. Without it all works by forms. */
"use strict";

/* Within the pages of the profile the draft goes along; beyond them, somebody may think it is saved. */
customElements.define("unsaved-draft", class extends HTMLElement {
  static leaving = false;

  connectedCallback() {
    this.warn = (event) => {
      if ("changed" in this.dataset && !this.constructor.leaving) event.preventDefault();
    };
    addEventListener("beforeunload", this.warn);
  }

  disconnectedCallback() {
    removeEventListener("beforeunload", this.warn);
  }

  static {
    const isWithin = (href) => {
      const path = document.querySelector("unsaved-draft")?.dataset.path;
      return path !== undefined && new URL(href, location.href).pathname.startsWith(`${path}/`);
    };
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("a[href]");
      this.leaving = link !== null && link !== undefined && isWithin(link.href);
    });
    document.addEventListener("submit", (event) => {
      this.leaving = isWithin(event.submitter?.formAction || event.target.action);
    });
  }
});

/* A choice that is a form by itself is sent when it is made. */
document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
});
