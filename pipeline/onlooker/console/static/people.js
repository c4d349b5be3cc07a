// Dialogs, and files that are dropped.

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

// A drop zone is a label around a file input: files that are dropped on it, or pasted, are as if
// they were chosen.

function take(zone, files) {
  const input = zone.querySelector("input[type=file]");
  const list = new DataTransfer();
  for (const file of [...files].slice(0, input.multiple ? 1000 : 1)) list.items.add(file);
  if (!list.files.length) return;
  input.files = list.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

for (const zone of document.querySelectorAll(".drop")) {
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take(zone, event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => take(zone, event.clipboardData.files));
}

// Photographs to enrol go to the server one by one, so that there may be as many as one likes.

const enrol = document.getElementById("enrol");

enrol?.addEventListener("change", async ({ target }) => {
  if (target.type !== "file") return;
  const files = [...target.files];
  target.value = "";
  const headers = JSON.parse(document.body.getAttribute("hx-headers"));
  const outcome = document.getElementById("outcomes");
  for (const [index, file] of files.entries()) {
    enrol.querySelector("progress").value = index / files.length;
    const body = new FormData(enrol);
    body.append("image", file, file.name);
    const answer = await fetch("/people/enrolled/add", { method: "POST", headers, body }).catch(() => null);
    const line = document.createElement("li");
    line.className = answer?.headers.get("X-Outcome") ?? "wrong";
    line.textContent = answer ? await answer.text() : `${file.name}: Onlooker does not answer`;
    outcome.prepend(line);
  }
  enrol.querySelector("progress").value = 1;
  document.body.dispatchEvent(new CustomEvent("people"));
});
