"use strict";
(() => {
  const root = document.documentElement;
  root.className = "js";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Theme: the system's choice until the reader makes one.
  const themeButton = document.getElementById("theme");
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const stored = (() => { try { return localStorage.getItem("arrayse-theme"); } catch { return null; } })();
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const showTheme = () => { themeButton.textContent = isDark() ? "☀ Light" : "☾ Dark"; };
  if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("arrayse-theme", root.dataset.theme); } catch { /* private window: not remembered */ }
    showTheme();
  });
  systemDark.addEventListener("change", showTheme);
  showTheme();

  // Sorting: numbers large to small first, names in alphabetical order, missing values always last.
  const columnOf = (header) => {
    const row = header.parentElement;
    if (row.rowIndex === 0) return header.cellIndex;
    return header.cellIndex + all("th[rowspan]", row.parentElement).length;
  };
  const sortBy = (table, header) => {
    const column = columnOf(header);
    const isName = column === 0;
    const before = header.getAttribute("aria-sort");
    const rising = before ? before === "descending" : isName;
    const value = (row) => row.cells[column].dataset.value ?? "";
    const rows = all("tbody tr", table).sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isName ? x.localeCompare(y) : Number(x) - Number(y);
      return rising ? order : -order;
    });
    all("th", table.tHead).forEach((th) => th.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", rising ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  };
  all("table.sortable").forEach((table) => {
    all(".sort", table).forEach((button) => button.addEventListener("click", () => sortBy(table, button.closest("th"))));
  });

  // Metric columns: all on a wide screen, the first metric on a phone.
  all("[data-table]").forEach((box) => {
    const group = box.querySelector("[data-metrics]");
    if (!group) return;
    const show = (metric) => {
      all("button", group).forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.metric === metric)));
      all("[data-of]", box).forEach((cell) => { cell.hidden = metric !== "" && cell.dataset.of !== metric; });
    };
    group.hidden = false;
    all("button", group).forEach((button) => button.addEventListener("click", () => show(button.dataset.metric)));
    if (innerWidth < 720) show(all("button", group)[1].dataset.metric);
  });

  // Legend: hide and show a system in all curves.
  all("[data-curves]").forEach((box) => {
    all(".legend button", box).forEach((button) => button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      all(`.curves [data-system="${button.dataset.system}"]`, box).forEach((mark) => mark.classList.toggle("off", !shown));
    }));
  });

  // Players: every version runs at once and all but one are silent, so switching keeps the position to the sample.
  let context = null;
  let playing = null;
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
      this.offset = 0;
      this.startedAt = null;
      this.voices = [];
      this.button.addEventListener("click", () => this.toggle());
      this.seek.addEventListener("input", () => this.jump(Number(this.seek.value) * this.seconds));
      this.loop.addEventListener("click", () => {
        this.loop.setAttribute("aria-pressed", String(this.loop.getAttribute("aria-pressed") !== "true"));
      });
      this.radios.forEach((radio) => radio.addEventListener("change", () => this.mix(0.012)));
      card.addEventListener("keydown", (event) => this.key(event));
    }

    position() {
      return this.startedAt === null ? this.offset : Math.min(this.offset + context.currentTime - this.startedAt, this.seconds);
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const radio = this.radios[Number(event.key) - 1];
      if (/^[1-9]$/.test(event.key) && radio) {
        radio.checked = true;
        radio.focus({ preventScroll: true });
        this.mix(0.012);
      } else if (event.key === " " && !event.target.closest("button")) {
        this.toggle();
      } else {
        return;
      }
      event.preventDefault();
    }

    async toggle() {
      if (this.startedAt !== null) return this.pause();
      if (playing) playing.pause();
      playing = this;
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
      this.voices.forEach(({ gain }, index) => {
        if (seconds) gain.gain.setTargetAtTime(index === chosen ? 1 : 0, context.currentTime, seconds / 3);
        else gain.gain.value = index === chosen ? 1 : 0;
      });
    }

    silence() {
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
        if (this.loop.getAttribute("aria-pressed") === "true") this.toggle();
        return;
      }
      this.show();
      requestAnimationFrame(() => this.draw());
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
})();
