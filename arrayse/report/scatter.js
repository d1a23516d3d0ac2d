// Scores of single utterances: one system upwards, another across.
all("[data-scatter]").forEach((box) => {
  const data = JSON.parse(box.dataset.scatter);
  const svgSpace = "http://www.w3.org/2000/svg";
  const [left, right, top, bottom] = [62, 16, 14, 50];
  const picks = Object.fromEntries(all("[data-choose]", box).map((select) => [select.dataset.choose, select]));
  const plot = box.querySelector(".plot");
  const found = box.querySelector(".found");
  const text = (number, digits = 2) => number.toFixed(digits).replace("-", "−");

  const add = (parent, name, attributes, content) => {
    const element = document.createElementNS(svgSpace, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    if (content !== undefined) element.textContent = content;
    parent.append(element);
    return element;
  };

  // Round numbers, about six of them.
  const ticks = (low, high) => {
    const rough = (high - low) / 6;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
  };

  const draw = () => {
    const [x, y] = ["x", "y"].map((key) => picks[key].selectedIndex);
    const metric = picks.metric.value;
    const snr = picks.snr?.value ?? "";
    const values = data.values[metric];
    const points = data.scenes
      .map((scene, index) => ({ scene, snr: data.snrs[index], x: values[x][index], y: values[y][index] }))
      .filter((point) => point.x !== null && point.y !== null && (snr === "" || point.snr === Number(snr)));
    plot.replaceChildren();
    if (!points.length) {
      found.textContent = "No utterance has both scores.";
      return;
    }
    const every = points.flatMap((point) => [point.x, point.y]);
    let [low, high] = [Math.min(...every), Math.max(...every)];
    const width = Math.min(760, Math.max(300, plot.clientWidth)); // letters stay as large as elsewhere
    const height = Math.round(0.7 * width);
    const margin = 0.04 * (high - low) || 0.5;
    [low, high] = [low - margin, high + margin];
    const across = (value) => left + (width - left - right) * (value - low) / (high - low);
    const up = (value) => height - bottom - (height - top - bottom) * (value - low) / (high - low);
    const svg = add(plot, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    ticks(low, high).forEach((tick) => {
      add(svg, "line", { x1: left, x2: width - right, y1: up(tick), y2: up(tick), class: "grid" });
      add(svg, "line", { x1: across(tick), x2: across(tick), y1: top, y2: height - bottom, class: "grid" });
      add(svg, "text", { x: left - 8, y: up(tick) + 4, "text-anchor": "end" }, String(tick).replace("-", "−"));
      add(svg, "text", { x: across(tick), y: height - bottom + 18, "text-anchor": "middle" }, String(tick).replace("-", "−"));
    });
    add(svg, "line", { x1: across(low), y1: up(low), x2: across(high), y2: up(high), class: "diagonal" });
    add(svg, "text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle", class: "axis" }, data.names[x]);
    const [middle, edge] = [(top + height - bottom) / 2, 16];
    add(svg, "text", { x: edge, y: middle, "text-anchor": "middle", transform: `rotate(-90 ${edge} ${middle})`, class: "axis" }, data.names[y]);
    const colour = `var(--s${data.colours[y]})`;
    points.forEach((point) => {
      const dot = add(svg, "circle", { cx: across(point.x), cy: up(point.y), r: points.length > 400 ? 3 : 4.5, style: `fill: ${colour}` });
      const at = point.snr === null ? "" : ` at ${String(point.snr).replace("-", "−")} dB`;
      add(dot, "title", {}, `${point.scene}${at}: ${text(point.y, 3)} against ${text(point.x, 3)}`);
    });
    const higher = points.filter((point) => point.y > point.x).length;
    const mean = points.reduce((sum, point) => sum + point.y - point.x, 0) / points.length;
    const sentence = `${data.names[y]} is higher than ${data.names[x]} in ${higher} of ${points.length} utterances; mean difference ${mean > 0 ? "+" : ""}${text(mean, 3)}.`;
    svg.setAttribute("aria-label", `${data.labels[metric]}: ${sentence}`);
    found.textContent = sentence;
  };
  Object.values(picks).forEach((select) => select.addEventListener("change", draw));
  addEventListener("resize", draw);
  draw();
});
