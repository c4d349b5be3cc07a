// Live streams: the analysed frame on one canvas, and over it, in the same instant, what was found.

import { say, watch } from "./console.js";
import { Smooth } from "./smooth.js";

const decoder = new TextDecoder();
const tiles = new Map();
const FACE = "#4cc9f0";
const UNKNOWN = "#ffb703";
const TEXT = "#b8f2a0";

class Tile {
  constructor(figure) {
    this.figure = figure;
    this.name = figure.dataset.stream;
    this.picture = figure.querySelector(".picture");
    this.boxes = figure.querySelector(".boxes");
    this.visible = false;
    this.latest = null;
    this.sequence = 0;
    this.shown = 0;
    figure.querySelector(".full").addEventListener("click", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else figure.requestFullscreen();
    });
    this.button = figure.querySelector(".smooth");
    this.button?.addEventListener("click", () => this.play(!this.smooth));
    this.again = false;
    figure.querySelector(".again").addEventListener("click", ({ target }) => {
      if (target.matches("button")) this.replay(!this.again);
    });
    new ResizeObserver(() => this.draw()).observe(this.boxes);
  }

  // The camera's own video, or the analysed frames again.
  play(on) {
    this.video?.remove();
    this.smooth?.close();
    this.video = this.smooth = null;
    this.button.setAttribute("aria-pressed", on);
    this.figure.classList.toggle("video", on);
    if (on) {
      this.video = document.createElement("video");
      Object.assign(this.video, { muted: true, playsInline: true, className: "clip" });
      this.picture.after(this.video);
      this.smooth = new Smooth(this.video, (cause) => {
        say(`${this.figure.dataset.shown}: ${cause}`);
        this.play(false);
      });
      const follow = () => {
        if (!this.smooth) return;
        const overlay = this.smooth.now();
        if (overlay !== this.latest) {
          this.latest = overlay;
          this.draw();
          if (overlay) this.tell(overlay);
        }
        requestAnimationFrame(follow);
      };
      follow();
    }
    ask();
  }

  // A video that has ended: its analysed frames once more, until its end.
  replay(on, cause) {
    this.again = on;
    this.figure.querySelector(".again button")?.setAttribute("aria-pressed", on);
    if (cause) say(`${this.figure.dataset.shown}: ${cause}`);
    ask();
  }

  // A frame: its overlay and its JPEG, which is empty if the image has not changed.
  async receive(overlay, jpeg) {
    if (this.smooth) return this.smooth.overlay(overlay);
    const number = ++this.sequence;
    if (jpeg.size) {
      const bitmap = await createImageBitmap(jpeg);
      if (number < this.shown) return bitmap.close(); // a later one was faster
      this.picture.width = bitmap.width;
      this.picture.height = bitmap.height;
      this.picture.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
      this.figure.classList.add("on");
    } else if (!this.figure.classList.contains("on")) {
      return;
    }
    this.shown = number;
    this.latest = overlay;
    this.draw();
    this.tell(overlay);
  }

  tell(overlay) {
    const names = overlay.faces.map((face) => face[4]);
    const texts = overlay.lines.map((line) => line[1]);
    this.figure.querySelector(".caption").textContent = overlay.error ?? names.join(", ");
    this.boxes.setAttribute("aria-label", `${this.figure.dataset.shown}: ${[...names, ...texts].join(", ") || "nobody, no text"}`);
    this.figure.dataset.index = overlay.index;
    this.figure.dataset.delay = (Date.now() / 1000 - overlay.time).toFixed(3);
  }

  draw() {
    const { boxes, latest } = this;
    const scale = devicePixelRatio || 1;
    const width = Math.round(boxes.clientWidth * scale);
    const height = Math.round(boxes.clientHeight * scale);
    if (boxes.width !== width || boxes.height !== height) {
      boxes.width = width;
      boxes.height = height;
    }
    const pen = boxes.getContext("2d");
    pen.clearRect(0, 0, width, height);
    if (!latest) return;
    const [left, top, wide, high] = latest.region;
    const x = (value) => ((value - left) / wide) * width;
    const y = (value) => ((value - top) / high) * height;
    pen.lineWidth = Math.max(1.5, 2 * scale);
    pen.lineJoin = "round";
    pen.font = `600 ${13 * scale}px system-ui, sans-serif`;
    pen.textBaseline = "bottom";
    if (shows("show-texts")) {
      for (const [corners, text] of latest.lines) {
        pen.beginPath();
        for (let at = 0; at < corners.length; at += 2) pen.lineTo(x(corners[at]), y(corners[at + 1]));
        pen.closePath();
        pen.strokeStyle = TEXT;
        pen.stroke();
        label(pen, text, x(corners[0]), y(corners[1]), TEXT, scale);
      }
    }
    if (shows("show-faces")) {
      for (const [faceLeft, faceTop, faceWide, faceHigh, name, similarity] of latest.faces) {
        const colour = similarity ? FACE : UNKNOWN;
        pen.strokeStyle = colour;
        pen.strokeRect(x(faceLeft), y(faceTop), (faceWide / wide) * width, (faceHigh / high) * height);
        label(pen, similarity ? `${name}  ${similarity}` : name, x(faceLeft), y(faceTop), colour, scale);
      }
    }
  }
}

function label(pen, text, left, bottom, colour, scale) {
  const pad = 4 * scale;
  const high = 18 * scale;
  const wide = pen.measureText(text).width + 2 * pad;
  const at = Math.max(0, Math.min(left, pen.canvas.width - wide));
  const under = bottom < high ? bottom + high : bottom;
  pen.fillStyle = "rgba(10, 16, 22, .78)";
  pen.fillRect(at, under - high, wide, high);
  pen.fillStyle = colour;
  pen.fillText(text, at + pad, under - 2 * scale);
}

function shows(id) {
  return document.getElementById(id).checked;
}

// Only what can be seen is asked for.
function ask() {
  const wanted = {};
  if (!document.hidden) {
    for (const tile of tiles.values()) {
      if (tile.visible) wanted[tile.name] = tile.again ? "again" : tile.smooth ? "video" : "frames";
    }
  }
  watch(wanted, receive);
}

function receive(data) {
  const length = new DataView(data).getUint32(0);
  const overlay = JSON.parse(decoder.decode(new Uint8Array(data, 4, length)));
  const tile = tiles.get(overlay.stream);
  if (overlay.video && tile?.again) return tile.replay(false, overlay.error);
  if (overlay.video) return tile?.smooth?.part(overlay, data.slice(4 + length));
  tile?.receive(overlay, new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
}

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) tiles.get(target.dataset.stream).visible = isIntersecting;
  ask();
});
for (const figure of document.querySelectorAll(".tile")) {
  tiles.set(figure.dataset.stream, new Tile(figure));
  observer.observe(figure);
}
document.addEventListener("visibilitychange", ask);
for (const id of ["show-faces", "show-texts"]) {
  const box = document.getElementById(id);
  if (!box) continue;
  box.checked = localStorage.getItem(id) !== "no";
  box.addEventListener("change", () => {
    localStorage.setItem(id, box.checked ? "yes" : "no");
    for (const tile of tiles.values()) tile.draw();
  });
}
