/* The list of devices: "all on this page" checks every row, and how many are chosen is told. */
"use strict";

(() => {
  const form = document.getElementById("chosen");
  const count = document.getElementById("chosen-count");
  const rows = () => [...document.querySelectorAll('input[name="device"][form="chosen"]')];

  function tell() {
    const all = document.getElementById("choose-all");
    const boxes = rows();
    const chosen = boxes.filter((one) => one.checked).length;
    if (all) {
      all.checked = chosen > 0 && chosen === boxes.length;
      all.indeterminate = chosen > 0 && !all.checked;
    }
    const text = chosen === 1 ? "1 device chosen" : `${chosen} devices chosen`;
    if (count.textContent !== text) count.textContent = text;
  }

  function choose(event) {
    if (event.target.id === "choose-all") {
      for (const one of rows()) one.checked = event.target.checked;
    } else if (event.target.getAttribute("form") !== "chosen") {
      return;
    }
    tell();
  }

  /* Who has chosen rows means these, whatever the list shows meanwhile. */
  const mark = document.createElement("input");
  Object.assign(mark, { type: "hidden", name: "scripted", value: "true" });
  form.append(mark);
  document.addEventListener("change", choose);
  document.addEventListener("htmx:after:swap", tell);
  addEventListener("pageshow", tell);
})();
