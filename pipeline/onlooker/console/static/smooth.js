// The camera's own video in the browser's player, and the overlays that belong to what it shows.

const KEEP_SECONDS = 12;
const LATE_SECONDS = 0.25; // beside the time that the analysis takes

export class Smooth {
  constructor(video, failed) {
    this.video = video;
    this.failed = failed;
    this.queue = [];
    this.overlays = [];
    this.buffer = null;
    this.shift = null; // epoch seconds at the video's 0
    this.lag = 0.5;
  }

  part(header, data) {
    if (header.video === "end") return this.failed(header.error);
    if (header.video === "beginning") this.begin(header.codec);
    else {
      const shift = header.time - header.position;
      this.shift = this.shift === null ? shift : Math.min(shift, this.shift + 0.002); // the least delayed
    }
    this.queue.push(data);
    this.feed();
  }

  begin(codec) {
    const type = `video/mp4; codecs="${codec}"`;
    if (!window.MediaSource?.isTypeSupported(type)) return this.failed(`this browser does not play ${codec}`);
    this.close();
    this.shift = null;
    this.source = new MediaSource();
    this.address = URL.createObjectURL(this.source);
    this.source.addEventListener("sourceopen", () => {
      this.buffer = this.source.addSourceBuffer(type);
      this.buffer.addEventListener("updateend", () => this.feed());
      this.feed();
    }, { once: true });
    this.video.src = this.address;
    this.video.play().catch(() => {});
  }

  feed() {
    const { buffer, video } = this;
    if (!buffer || buffer.updating || this.source.readyState !== "open") return;
    const ranges = buffer.buffered;
    if (ranges.length) {
      const end = ranges.end(ranges.length - 1);
      const wanted = end - this.lag - LATE_SECONDS;
      if (Math.abs(video.currentTime - wanted) > 1.5) video.currentTime = Math.max(ranges.start(ranges.length - 1), wanted);
      else video.playbackRate = video.currentTime < wanted ? 1.05 : 0.97;
      if (ranges.start(0) < end - 2 * KEEP_SECONDS) return buffer.remove(0, end - KEEP_SECONDS);
    }
    if (this.queue.length) buffer.appendBuffer(this.queue.shift());
  }

  overlay(overlay) {
    this.lag += 0.1 * (Math.max(0, Date.now() / 1000 - overlay.time) - this.lag);
    this.overlays.push(overlay);
    if (this.overlays.length > 200) this.overlays.shift();
  }

  // The overlay of the image that is shown: the last one that is not later.
  now() {
    if (this.shift === null) return null;
    const time = this.shift + this.video.currentTime;
    return this.overlays.findLast((overlay) => overlay.time <= time + 0.02 && overlay.time > time - 2) ?? null;
  }

  close() {
    this.buffer = null;
    this.queue = [];
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
    this.video.removeAttribute("src");
  }
}
