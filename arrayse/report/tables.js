// Sorting: numbers large to small first, names in alphabetical order, missing values always last.
const columnOf = (header) => {
  const row = header.parentElement;
  const first = [...row.parentElement.rows[0].cells];
  if (row.rowIndex === 0) return first.slice(0, header.cellIndex).reduce((sum, cell) => sum + cell.colSpan, 0);
  return header.cellIndex + first.findIndex((cell) => cell.rowSpan === 1);
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

// Metric columns: all where they fit, else the first metric, as also where there is no button for all of them.
all("[data-table]").forEach((box) => {
  const medians = box.querySelector("[data-medians]");
  if (medians && box.querySelector(".median")) {
    medians.hidden = false;
    medians.addEventListener("click", () => {
      press(medians, !isPressed(medians));
      box.classList.toggle("medians", isPressed(medians));
    });
  }
  const group = box.querySelector("[data-metrics]");
  if (!group) return;
  const buttons = all("button", group);
  const show = (metric) => {
    buttons.forEach((button) => press(button, button.dataset.metric === metric));
    all("[data-of]", box).forEach((cell) => { cell.hidden = metric !== "" && cell.dataset.of !== metric; });
  };
  group.hidden = false;
  buttons.forEach((button) => button.addEventListener("click", () => show(button.dataset.metric)));
  const hasAll = buttons[0].dataset.metric === "";
  const table = box.querySelector(".scroll");
  if (!hasAll || table.scrollWidth > table.clientWidth) show(buttons[hasAll ? 1 : 0].dataset.metric);
});

// Tables to take along: the links hold them; copying needs the script.
all("[data-copy]").forEach((button) => {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const base64 = button.parentElement.querySelector("a").getAttribute("href").split(",")[1];
    const text = new TextDecoder().decode(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
    const done = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Not allowed");
    button.textContent = done;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
});
