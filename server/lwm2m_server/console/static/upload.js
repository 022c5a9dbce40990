/* Forms with data-upload show how much of their file is sent. Without this they are sent as any form. */
"use strict";

(() => {
  function told(form, loaded, total) {
    const share = total ? loaded / total : 0;
    form.querySelector("progress").value = share;
    form.querySelector("output").textContent = `${Math.floor(share * 100)} %`;
  }

  function refused(form, request) {
    const notice = document.createElement("p");
    const is_told = request.getResponseHeader("content-type")?.startsWith("text/plain");
    const otherwise = request.status ? `The server refused it (${request.status}).` : "The server could not be reached.";
    notice.textContent = is_told ? request.responseText : otherwise;
    notice.className = "notice bad";
    document.querySelector("#notices").replaceChildren(notice);
    form.querySelector(".sending").hidden = true;
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    notice.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-upload]");
    if (!form) return;
    event.preventDefault();
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("HX-Request", "true");
    request.upload.addEventListener("progress", (sent) => told(form, sent.loaded, sent.total));
    request.addEventListener("load", () => {
      const next = request.getResponseHeader("HX-Redirect");
      if (next) location.assign(next);
      else refused(form, request);
    });
    request.addEventListener("error", () => refused(form, request));
    const data = new FormData(form);
    form.querySelector(".sending").hidden = false;
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    request.send(data);
  });
})();
