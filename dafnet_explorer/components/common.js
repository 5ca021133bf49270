// Shared by all components. Files of this folder are joined into one module per component (__init__.py).

const instances = new WeakMap(); // parentElement -> state of one mounted component

/** Bytes of a base64 text. */
function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** An image of one byte (grey) or three (red, green, blue) a pixel as RGBA ImageData. */
function imagePixels(levels, width, height) {
  const pixels = new ImageData(width, height), channels = levels.length / (width * height);
  for (let p = 0; p < width * height; p++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * p + c] = levels[channels * p + (c % channels)];
    pixels.data[4 * p + 3] = 255;
  }
  return pixels;
}

/** [r, g, b] of "#rrggbb". */
function rgb(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

/** Draw ImageData onto a larger canvas, without interpolation. */
function enlarge(context, pixels, factor) {
  const small = new OffscreenCanvas(pixels.width, pixels.height);
  small.getContext("2d").putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, pixels.width * factor, pixels.height * factor);
}

const TEXTS = 'textarea, select, [contenteditable=""], [contenteditable="true"], input:not([type="range"], [type="checkbox"], [type="radio"])';

/** Ctrl+Z and Ctrl+Shift+Z (or Ctrl+Y, or Cmd) anywhere on the page, but where text is typed; returns the cleanup. */
function onUndoKeys(instance, undo, redo) {
  instance.undoKeys = { undo, redo }; // those of the latest run
  if (!instance.listener) {
    instance.listener = (event) => {
      const key = event.key.toLowerCase(), again = key === "y" || event.shiftKey;
      if (!(event.ctrlKey || event.metaKey) || event.altKey || !["z", "y"].includes(key)) return;
      if (event.composedPath()[0].matches?.(TEXTS)) return;
      event.preventDefault();
      instance.undoKeys[again ? "redo" : "undo"]();
    };
    document.addEventListener("keydown", instance.listener);
  }
  return () => {
    document.removeEventListener("keydown", instance.listener);
    instance.listener = null;
  };
}
