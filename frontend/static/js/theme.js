// Runs before the first paint, so that neither theme nor card size flickers. The only script that blocks.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("ferry.theme");
    const size = localStorage.getItem("ferry.size");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    if (size) root.dataset.size = size;
  } catch {
    // Storage is switched off: the system's theme it is.
  }
})();
