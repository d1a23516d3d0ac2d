// Players: every version runs at once and all but one are silent, so switching keeps the position to the sample.
let context = null;
let playing = null;
let lastPlayed = null;
const FADE = 0.012; // seconds of a switch: too short to hear as a gap, long enough not to click
const bytesOf = (uri) => Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (letter) => letter.charCodeAt(0)).buffer;

class Player {
  constructor(card) {
    this.card = card;
    this.seconds = Number(card.dataset.seconds);
    this.radios = all('input[type="radio"]', card);
    this.button = card.querySelector(".play");
    this.seek = card.querySelector(".seek");
    this.clock = card.querySelector("output");
    this.loop = card.querySelector(".loop");
    this.heard = card.querySelector(".heard");
    this.offset = 0;
    this.startedAt = null;
    this.voices = [];
    this.button.addEventListener("click", () => this.toggle());
    this.seek.addEventListener("input", () => this.jump(Number(this.seek.value) * this.seconds));
    this.loop.addEventListener("click", () => press(this.loop, !isPressed(this.loop)));
    this.radios.forEach((radio) => radio.addEventListener("change", () => this.mix(FADE)));
    card.addEventListener("keydown", (event) => this.key(event));
  }

  position() {
    return this.startedAt === null ? this.offset : Math.min(this.offset + context.currentTime - this.startedAt, this.seconds);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isSpace = event.key === " " && !event.target.closest("button");
    if (isSpace) this.toggle();
    if (!isSpace && !this.choose(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  // Keys 1 to 9, then 0: whether there is such a version.
  choose(key) {
    const radio = /^[0-9]$/.test(key) ? this.radios[(Number(key) + 9) % 10] : undefined;
    if (!radio) return false;
    radio.checked = true;
    if (this.card.contains(document.activeElement)) radio.focus({ preventScroll: true });
    this.mix(FADE);
    return true;
  }

  async toggle() {
    if (this.startedAt !== null) return this.pause();
    if (playing) playing.pause();
    playing = lastPlayed = this;
    context ??= new AudioContext();
    await context.resume();
    this.buffers ??= Promise.all(all("audio", this.card).map((audio) => context.decodeAudioData(bytesOf(audio.src))));
    const buffers = await this.buffers.catch(() => null);
    if (!buffers) {
      root.className = "nojs"; // A browser that cannot decode here may still play in its own players.
      return;
    }
    if (playing === this && this.startedAt === null) this.start(buffers);
  }

  start(buffers) {
    if (this.offset >= this.seconds - 0.01) this.offset = 0;
    const when = context.currentTime + 0.03;
    this.voices = buffers.map((buffer) => {
      const source = new AudioBufferSourceNode(context, { buffer });
      const gain = new GainNode(context, { gain: 0 });
      source.connect(gain).connect(context.destination);
      source.start(when, this.offset);
      return { source, gain };
    });
    this.startedAt = when;
    this.mix(0);
    this.button.textContent = "❚❚ Pause";
    this.draw();
  }

  mix(seconds) {
    const chosen = this.radios.findIndex((radio) => radio.checked);
    this.heard.textContent = this.radios[chosen].nextElementSibling.textContent;
    this.voices.forEach(({ gain }, index) => {
      if (seconds) gain.gain.setTargetAtTime(index === chosen ? 1 : 0, context.currentTime, seconds / 3);
      else gain.gain.value = index === chosen ? 1 : 0;
    });
  }

  silence() {
    cancelAnimationFrame(this.frame);
    this.voices.forEach(({ source, gain }) => { source.stop(); gain.disconnect(); });
    this.voices = [];
    this.startedAt = null;
  }

  pause() {
    this.offset = Math.max(0, this.position());
    this.silence();
    this.button.textContent = "▶ Play";
    if (playing === this) playing = null;
    this.show();
  }

  async jump(seconds) {
    const running = this.startedAt !== null;
    this.silence();
    this.offset = seconds;
    this.show();
    if (running) this.start(await this.buffers);
  }

  draw() {
    if (this.startedAt === null) return;
    if (this.position() >= this.seconds) {
      this.pause();
      this.offset = 0;
      this.show();
      if (isPressed(this.loop)) this.toggle();
      return;
    }
    this.show();
    this.frame = requestAnimationFrame(() => this.draw());
  }

  show() {
    const now = Math.max(0, this.position());
    this.seek.value = now / this.seconds;
    this.seek.setAttribute("aria-valuetext", `${now.toFixed(1)} seconds`);
    this.card.style.setProperty("--position", now / this.seconds);
    this.clock.textContent = `${now.toFixed(1)} / ${this.seconds.toFixed(1)} s`;
  }
}
all("[data-player]").forEach((card) => new Player(card));
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input:not([type=radio]), select, textarea");
  if (!isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) lastPlayed?.choose(event.key);
});

// Pictures: spectrograms, or what each version let through.
all("[data-listen]").forEach((box) => {
  const group = box.querySelector("[data-pictures]");
  if (group) choose(group, (value) => box.classList.toggle("masks", value === "masks"));
});
