// Parts of one function, which build.py puts together. This one: what the others use, and light or dark.
const root = document.documentElement;
root.className = "js";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));
const isPressed = (button) => button.getAttribute("aria-pressed") === "true";

// One of the buttons of a group is pressed: calls show with its value, now and at every choice.
const choose = (group, show) => {
  const buttons = all("button", group);
  const pick = (chosen) => {
    buttons.forEach((button) => press(button, button === chosen));
    show(chosen.dataset.value);
  };
  group.hidden = false;
  buttons.forEach((button) => button.addEventListener("click", () => pick(button)));
  pick(buttons.find(isPressed) ?? buttons[0]);
};

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
