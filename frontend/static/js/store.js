// Small values that survive a reload; quietly forgotten where the browser allows no storage.
export function read(key, fallback) {
  try {
    const text = localStorage.getItem(`ferry.${key}`);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function write(key, value) {
  try {
    localStorage.setItem(`ferry.${key}`, JSON.stringify(value));
  } catch {
    // Nothing to do: the value lives until the page is left.
  }
}

export function writeText(key, text) {
  try {
    localStorage.setItem(`ferry.${key}`, text);
  } catch {
    // As above.
  }
}
