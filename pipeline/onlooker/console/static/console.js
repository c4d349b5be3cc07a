// What every page does: the browser's time zone, the page's one socket, keys, and messages.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const ZONE = `onlooker_zone=${encodeURIComponent(zone)}`;
if (!document.cookie.split("; ").includes(ZONE)) {
  document.cookie = `${ZONE}; Path=/; Max-Age=31536000; SameSite=Strict`;
}

// The socket. Pages listen to the events that it makes of messages: "streams", "visits", …, and
// say by `watch` what they want to receive. It connects again by itself.

const wanted = { events: new Set(), streams: {} };
let socket = null;
let wait = 500;
let onPicture = () => {};

export function watch(streams, receive) {
  wanted.streams = streams;
  onPicture = receive ?? onPicture;
  ask();
}

export function connected() {
  return socket?.readyState === WebSocket.OPEN;
}

function ask() {
  if (connected()) {
    socket.send(JSON.stringify({ events: [...wanted.events], streams: wanted.streams }));
  }
}

export function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/socket`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    wait = 500;
    state("");
    ask();
  };
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") return onPicture(data);
    const { event } = JSON.parse(data);
    document.body.dispatchEvent(new CustomEvent(event));
  };
  socket.onclose = ({ code }) => {
    if (code === 4401) return over();
    state("not connected");
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, 8000);
  };
}

// The session has ended: the page stays as it is, and says so. Without keys it only needs a new
// token, so it is loaded again, but not for ever: a browser may keep no cookies.
export function over() {
  const end = document.getElementById("over");
  if (!("user" in end.dataset) && performance.now() > 60_000) return location.reload();
  end.hidden = false;
  end.querySelector("a").focus();
}

function state(text) {
  const place = document.getElementById("connection");
  if (place) place.textContent = text;
}

for (const place of document.querySelectorAll("[data-events]")) {
  for (const event of place.dataset.events.split(" ")) wanted.events.add(event);
}
if (document.querySelector("nav")) connect();

// A part of a page that is fetched again: what the user has opened stays open.

Idiomorph.defaults.callbacks.beforeNodeMorphed = (node) => !node.matches?.("[data-plot]");
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => name !== "aria-pressed" && !(name === "open" && node.matches("details, dialog"));

// Messages: what the server has refused is told in its own words.

export function say(text) {
  const place = document.getElementById("message");
  place.textContent = text;
  place.hidePopover();
  place.showPopover(); // the last one is above all others, and above a sheet
  clearTimeout(say.timer);
  say.timer = setTimeout(() => place.hidePopover(), 8000);
}

// A form with a place for its trouble tells it there, until it is sent again.

export function tell(form, text) {
  const place = form.querySelector?.(".trouble");
  if (place) place.textContent = text;
  else say(text);
}

document.body.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.xhr.status === 401) return over();
  tell(detail.elt, detail.xhr.responseText.slice(0, 500));
});
document.body.addEventListener("htmx:beforeRequest", ({ detail, defaultPrevented }) => {
  if (!defaultPrevented && detail.elt.matches("form")) detail.elt.querySelector(".trouble")?.replaceChildren();
});
document.body.addEventListener("htmx:sendError", ({ detail }) => {
  tell(detail.elt, connected() ? "It could not be sent. If it is a file that has changed since, choose it again." : "Onlooker does not answer. Is it running?");
});

// The sheet: a form over the page, shown when it has been fetched.

const sheet = document.getElementById("sheet");
if (sheet) {
  sheet.addEventListener("htmx:afterSwap", ({ target }) => {
    if (target === sheet) sheet.showModal();
  });
  sheet.addEventListener("click", (event) => {
    if (event.target === sheet || event.target.matches("[data-close]")) sheet.close();
  });
  document.body.addEventListener("saved", () => sheet.close());
}

// New visits: shown at once at the top of the list, announced further down.

const rows = document.getElementById("rows");
const newer = document.getElementById("newer");

function refresh() {
  newer.hidden = true;
  htmx.trigger("#filter", "submit");
}

if (rows && newer) {
  document.body.addEventListener("visits", () => {
    const busy = scrollY > 150 || rows.querySelector("details[open]");
    if (busy) newer.hidden = false;
    else refresh();
  });
  newer.addEventListener("click", () => { scrollTo(0, 0); refresh(); });
}

// Keys: j and k go down and up a list, / to its first field.

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  if (event.key === "/") {
    const field = document.querySelector("search input");
    if (field) { event.preventDefault(); field.focus(); }
  } else if (event.key === "j" || event.key === "k") {
    const all = [...document.querySelectorAll("[data-keys] summary, [data-keys] [data-key]")];
    const now = all.indexOf(document.activeElement);
    const next = all[now + (event.key === "j" ? 1 : -1)] ?? all[now] ?? all[0];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }
});
