// What is wrong with the page as it is drawn, one sentence each; run in the page by walk_pages.py.
([minContrast, minDisabled]) => {
  const faults = [];

  /** All elements, also those of components, which are in shadow roots. */
  function* elements(root = document) {
    for (const element of root.querySelectorAll("*")) {
      yield element;
      if (element.shadowRoot) yield* elements(element.shadowRoot);
    }
  }
  const parent = (element) => element.parentElement ?? element.getRootNode().host ?? null;
  const visible = (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };
  const named = (text) => `"${text.trim().replace(/\s+/g, " ").slice(0, 50)}"`;

  // ---- charts ----
  const titled = (axis) => Boolean(axis?.title?.text?.trim());
  for (const chart of document.querySelectorAll(".js-plotly-plot")) {
    const where = chart.closest("[class*='st-key-']")?.className.match(/st-key-(\S+)/)?.[1] ?? "a chart";
    for (const [name, axis] of Object.entries(chart._fullLayout)) {
      if (!/^[xy]axis\d*$/.test(name) || axis.visible === false || axis.showticklabels === false) continue;
      const shared = axis.matches?.replace(/^([xy])/, "$1axis");
      if (!titled(chart.layout[name]) && !titled(chart.layout[shared])) faults.push(`${where}: ${name} has no title`);
    }
    for (const trace of chart._fullData) {
      const scale = trace.coloraxis ? chart._fullLayout[trace.coloraxis] : trace;
      if (trace.type === "heatmap" && scale.showscale === false) faults.push(`${where}: a map without colour bar`);
    }
  }

  // ---- images ----
  for (const element of elements()) {
    if (element.closest("[aria-hidden=true]") || !visible(element)) continue;
    if (element.tagName === "IMG" && !element.alt.trim()) faults.push(`an image without alt text: ${element.src.slice(-40)}`);
    if (element.tagName === "CANVAS" && element.getAttribute("role") === "img" && !element.getAttribute("aria-label"))
      faults.push("a canvas without label");
  }

  // ---- contrast ----
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  /** [r, g, b, opacity from 0 to 1] of a colour in any notation. */
  const rgba = (colour) => {
    if (!known.has(colour)) {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((value, i) => value * a + below[i] * (1 - a));
  /** What lies behind a point; ancestors that do not reach it, as that of a label beside its box, are left out. */
  const background = (element, x, y) => {
    if (!element) return [255, 255, 255];
    const box = element.getBoundingClientRect(), colour = rgba(getComputedStyle(element).backgroundColor);
    const reaches = element === document.body || (box.left <= x && x <= box.right && box.top <= y && y <= box.bottom);
    if (!reaches || colour[3] === 0) return background(parent(element), x, y);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, background(parent(element), x, y));
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opacity = (element) => (element ? Number(getComputedStyle(element).opacity) * opacity(parent(element)) : 1);
  // numbers in a map stand on a picture, whose colours are not known here: see tests/explorer/test_contrast.py
  const skipped =
    "script, style, noscript, [aria-hidden=true], [data-testid=stIconMaterial], .heatmaplayer";
  const isIn = (element, selector) => element !== null && (element.matches(selector) || isIn(parent(element), selector));
  const told = new Set(); // only of text with letters or digits: others are graphics, such as swatches of a legend
  for (const element of elements()) {
    const text = [...element.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data).join("");
    if (!/[\p{L}\p{N}]/u.test(text) || isIn(element, skipped) || !visible(element)) continue;
    const style = getComputedStyle(element), isSvg = element.namespaceURI.endsWith("svg");
    const box = element.getBoundingClientRect();
    const own = rgba(isSvg ? style.fill : style.color);
    const below = background(element, box.left + box.width / 2, box.top + box.height / 2);
    const shown = over([...own.slice(0, 3), own[3] * opacity(element)], below);
    const [light, dark] = [luminance(shown), luminance(below)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const said = `contrast ${ratio.toFixed(1)} of ${named(text)}`;
    const least = isIn(element, ":disabled, [aria-disabled=true]") ? minDisabled : minContrast;
    if (ratio < least && told.size < 20 && !told.has(said)) {
      told.add(said);
      faults.push(said);
    }
  }

  for (const error of document.querySelectorAll("[data-testid=stException]")) faults.push(`error of the script: ${named(error.innerText)}`);
  for (const alert of document.querySelectorAll("[data-testid=stAlert]"))
    if (alert.innerText.startsWith("Unexpected error")) faults.push(`error of the script: ${named(alert.innerText)}`);
  return faults;
}
