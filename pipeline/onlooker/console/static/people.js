// Dialogs, and files that are dropped.

import { connected, over, say, tell } from "./console.js";

// A dialog that the server has filled opens; it closes by its button, and when the change is made.

const dialog = document.getElementById("dialog");

document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target !== dialog) return;
  dialog.showModal();
  dialog.querySelector("[autofocus]")?.focus();
});
document.body.addEventListener("click", ({ target }) => {
  if (target === dialog || target.closest("[data-close]")) dialog.close();
});
document.body.addEventListener("people", () => {
  dialog?.close();
  for (const form of document.querySelectorAll("form.select")) form.reset();
});

// After a change the button that made it may have gone with its row: the keyboard goes on from the
// message, whose button undoes it.

document.body.addEventListener("htmx:afterSettle", () => {
  const done = document.getElementById("done");
  if (document.activeElement === document.body && done?.textContent.trim()) done.focus({ preventScroll: true });
});

// What is selected is counted, and the buttons for it are shown.

function count() {
  for (const form of document.querySelectorAll("form.select")) {
    const number = form.querySelectorAll(":checked").length;
    form.querySelector(".selected").textContent = `${number} selected`;
    if (number) form.dataset.chosen = number;
    else delete form.dataset.chosen;
  }
}
for (const event of ["change", "htmx:afterSettle"]) document.body.addEventListener(event, count);
document.body.addEventListener("reset", () => setTimeout(count));

// A drop zone is a label around a file input: files that are dropped anywhere on the page, or
// pasted, are as if they were chosen. A file that misses it would otherwise be opened by the browser.

const MAX_FILES = 1000;
const zone = document.querySelector(".drop");
const input = zone?.querySelector("input[type=file]");

function give(files) {
  const list = new DataTransfer();
  for (const file of [...files].slice(0, input.multiple ? MAX_FILES : 1)) list.items.add(file);
  input.files = list.files;
}

function taken() {
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

function take(files) {
  if (files.length > MAX_FILES) say(`${files.length} files are more than ${MAX_FILES}: the first ones are taken.`);
  give(files);
  taken();
}

if (zone) {
  let inside = 0;
  document.addEventListener("dragenter", () => { inside += 1; zone.classList.add("over"); });
  document.addEventListener("dragleave", () => { if (!--inside) zone.classList.remove("over"); });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0;
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
    else say("That is not a file. Save the image first, or copy it and paste it here.");
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files);
  });

  // A file that is chosen a second time would be no change, so none is chosen meanwhile.
  let before = [];
  input.addEventListener("click", () => { before = [...input.files]; input.value = ""; });
  input.addEventListener("cancel", () => give(before));

  // Files that were chosen before this was loaded, or that the browser has kept over a reload. htmx
  // listens from the same event on, which it has asked for first.
  document.addEventListener("DOMContentLoaded", () => { if (input.files.length) taken(); });
}

function tooLarge(file) {
  const limit = Number(zone.dataset.limit);
  return file.size > limit && `${file.name}: ${(file.size / 2 ** 20).toFixed(1)} MB are too much; an upload has at most ${(limit / 2 ** 20).toFixed(1)} MB`;
}

document.getElementById("try")?.addEventListener("htmx:beforeRequest", (event) => {
  document.getElementById("result").replaceChildren(); // it is of another image
  const trouble = input.files[0] && tooLarge(input.files[0]);
  if (!trouble) return;
  event.preventDefault();
  tell(event.target, trouble);
});

// Photographs to enrol go to the server one by one, so that there may be as many as one likes.

const enrol = document.getElementById("enrol");

function stay(event) {
  event.preventDefault(); // the browser asks whether to leave the photographs that are not sent yet
}

enrol?.addEventListener("submit", (event) => event.preventDefault()); // Enter in a field sends nothing
enrol?.addEventListener("change", async ({ target }) => {
  if (target.type !== "file") return;
  const files = [...target.files];
  target.value = "";
  addEventListener("beforeunload", stay);
  const headers = JSON.parse(document.body.getAttribute("hx-headers"));
  const outcome = document.getElementById("outcomes");
  for (const [index, file] of files.entries()) {
    enrol.querySelector("progress").value = index / files.length;
    const line = document.createElement("li");
    line.className = "wrong";
    line.textContent = tooLarge(file) || "";
    if (!line.textContent) {
      const body = new FormData(enrol);
      body.append("image", file, file.name);
      const answer = await fetch("/people/enrolled/add", { method: "POST", headers, body }).catch(() => null);
      if (answer?.status === 401) over();
      line.className = answer?.headers.get("X-Outcome") ?? "wrong";
      line.textContent = answer ? await answer.text() : `${file.name}: ${connected() ? "it could not be sent" : "Onlooker does not answer"}`;
    }
    outcome.prepend(line);
  }
  removeEventListener("beforeunload", stay);
  enrol.querySelector("progress").value = 1;
  document.body.dispatchEvent(new CustomEvent("people"));
});
