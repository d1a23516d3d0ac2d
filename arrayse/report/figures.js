// Legend: hide and show a system in all figures below it; while it is pointed at, the others stand back.
all("[data-curves]").forEach((box) => {
  const buttons = all(".legend button[data-system]", box);
  const marks = all(".panel [data-system]", box);
  const show = (button, shown) => {
    press(button, shown);
    marks.forEach((mark) => { if (mark.dataset.system === button.dataset.system) mark.classList.toggle("off", !shown); });
  };
  const point = (system) => marks.forEach((mark) => mark.classList.toggle("back", system !== null && mark.dataset.system !== system));
  buttons.forEach((button) => {
    show(button, isPressed(button));
    button.addEventListener("click", () => show(button, !isPressed(button)));
    ["pointerenter", "focus"].forEach((name) => button.addEventListener(name, () => point(isPressed(button) ? button.dataset.system : null)));
    ["pointerleave", "blur"].forEach((name) => button.addEventListener(name, () => point(null)));
  });
  const every = box.querySelector(".every");
  every.hidden = false;
  all("button", every).forEach((button) => button.addEventListener("click", () => {
    buttons.forEach((each) => show(each, button.dataset.every === "true"));
  }));
});
