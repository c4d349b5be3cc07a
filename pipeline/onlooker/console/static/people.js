// Dialogs, and files that are dropped.

import { connected, over, say, tell } from "./console.js";

// A dialog that the server has filled opens; it closes by its button, and when the change is made.

const dialog = document.getElementById("dialog");

document.body.addEventListener("htmx:afterSettle", ({ detail }) => {
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

const zone = document.querySelector(".drop");
const input = zone?.querySelector("input[type=file]");

function give(files) {
  const list = new DataTransfer();
  for (const file of input.multiple ? files : [...files].slice(0, 1)) list.items.add(file);
  input.files = list.files;
}

function take(files) {
  if (files.length > 1 && !input.multiple) say(`One at a time: this is ${files[0].name}.`);
  give(files);
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

if (zone) {
  document.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  document.addEventListener("dragleave", ({ relatedTarget }) => zone.classList.toggle("over", relatedTarget !== null));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
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

  // Files that were chosen before this was loaded, and before htmx listens, which is from here on.
  document.addEventListener("DOMContentLoaded", () => { if (input.files.length) take(input.files); });
}

function tooLarge(file) {
  const limit = Number(zone.dataset.limit);
  return file.size > limit && `${file.name}: ${(file.size / 2 ** 20).toFixed(1)} MB are too much; an upload has at most ${(limit / 2 ** 20).toFixed(1)} MB`;
}

document.getElementById("try")?.addEventListener("htmx:beforeRequest", (event) => {
  document.getElementById("result").replaceChildren(); // it is of another image
  const trouble = input.files[0] && tooLarge(input.files[0]);
  if (trouble) { event.preventDefault(); tell(event.target, trouble); }
});

// Photographs to enrol go to the server one by one, so that there may be as many as one likes.

const enrol = document.getElementById("enrol");

const stay = (event) => event.preventDefault(); // the browser asks before it leaves what is not sent

enrol?.addEventListener("submit", (event) => event.preventDefault()); // Enter sends nothing
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
