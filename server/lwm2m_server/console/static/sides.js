/* Lists that grow by themselves keep their newest entries (data-keep), forms show the fields of the kind that
   is chosen (data-modes). Without this all of them are there. */
"use strict";

(() => {
  function trim() {
    for (const list of document.querySelectorAll("[data-keep]")) {
      while (list.children.length > Number(list.dataset.keep)) list.lastElementChild.remove();
    }
  }

  function choose(select) {
    for (const group of select.form.querySelectorAll("fieldset[data-mode]")) {
      group.hidden = group.dataset.mode !== select.value;
      group.disabled = group.hidden;
    }
  }

  for (const select of document.querySelectorAll("select[data-modes]")) {
    select.addEventListener("change", () => choose(select));
    choose(select);
  }
  document.addEventListener("htmx:after:swap", trim);
})();
