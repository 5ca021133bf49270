// Panels of one slice with one crosshair: it follows the pointer, or the arrow keys, through all of them, and its values
// are read below. Zoom and window hold for all panels, or for the one that was pointed at last.

const SIDE = 320; // canvas pixels of a panel's longer side
const LOUPE = 1e4; // of quantised values

/** Quantised values of a panel, 16 bits each. */
function quantised(text) {
  const raw = bytes(text);
  return new Int16Array(raw.buffer, 0, raw.length / 2);
}

/** A panel's pixels as ImageData: values on a colour table between low and high, or labels in their colours. */
function panelPixels(panel, low, high, width, height) {
  const pixels = new ImageData(width, height), { values, table } = panel;
  for (let p = 0; p < values.length; p++) {
    const level = panel.names ? values[p] : ((values[p] / LOUPE - low) / Math.max(high - low, 1e-6)) * 255;
    const from = 3 * (panel.names ? level : Math.round(Math.min(Math.max(level, 0), 255)));
    for (let c = 0; c < 3; c++) pixels.data[4 * p + c] = table[from + c];
    pixels.data[4 * p + 3] = 255;
  }
  return pixels;
}

/** A colour table as a bar, between the texts of its ends. */
function colourBar(table) {
  const bar = document.createElement("div"), colours = [0, 64, 128, 192, 255].map((n) => `rgb(${table.slice(3 * n, 3 * n + 3)})`);
  bar.className = "bar";
  bar.append(...["span", "i", "span"].map((name) => document.createElement(name)));
  bar.children[1].style.background = `linear-gradient(to right, ${colours})`;
  return bar;
}

/** Where a panel shows the crosshair: at the same pixel, or at the one that its warp names. */
function placeIn(panel, at, width) {
  if (!panel.positions) return at;
  const p = 2 * (at.y * width + at.x);
  return { x: panel.positions[p] / 16, y: panel.positions[p + 1] / 16 };
}

export default function ({ data, parentElement }) {
  const find = (selector) => parentElement.querySelector(selector);
  const { width, height } = data, scale = SIDE / Math.max(width, height);
  const instance = instances.get(parentElement) ?? { at: null, views: [] };
  instances.set(parentElement, instance);
  const views = find(".views"), said = find("output"), linked = find("[data-linked]");
  const sliders = Object.fromEntries(["zoom", "low", "high"].map((name) => [name, find(`[data-${name}]`)]));
  const start = () => ({ zoom: 1, low: -1, high: 1, x: width / 2, y: height / 2 });

  if (instance.owner !== data.owner) {
    instance.owner = data.owner;
    const same = instance.views.length === data.panels.length && instance.size === `${width}x${height}`;
    if (!same) instance.views = data.panels.map(start);
    if (!same || !instance.at) instance.at = { x: Math.floor(width / 2), y: Math.floor(height / 2) };
    instance.size = `${width}x${height}`;
    instance.active = 0;
    instance.panels = data.panels.map((panel) => ({
      ...panel,
      values: panel.values && quantised(panel.values),
      table: bytes(panel.table),
      positions: panel.positions && quantised(panel.positions),
    }));
    views.replaceChildren(
      ...instance.panels.map((panel, n) => {
        const figure = document.createElement("figure"), caption = document.createElement("figcaption");
        const canvas = document.createElement("canvas"), value = document.createElement("span");
        caption.textContent = panel.title;
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
        canvas.tabIndex = n ? -1 : 0; // one stop for the keyboard: its keys move the crosshair of all panels
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `${panel.title}; arrow keys move the crosshair`);
        value.className = "value";
        figure.append(caption, canvas, value);
        if (!panel.names) figure.append(colourBar(panel.table));
        return figure;
      })
    );
  }
  const panels = instance.panels, canvases = [...views.querySelectorAll("canvas")];

  const viewOf = (n) => {
    const view = instance.views[n], half = { x: width / 2 / view.zoom, y: height / 2 / view.zoom };
    const left = Math.min(Math.max(view.x - half.x, 0), width - 2 * half.x);
    const top = Math.min(Math.max(view.y - half.y, 0), height - 2 * half.y);
    return { left, top, zoom: view.zoom };
  };
  const draw = (n) => {
    const panel = panels[n], view = instance.views[n], canvas = canvases[n], context = canvas.getContext("2d");
    const range = panel.window ? [view.low, view.high] : [panel.low, panel.high], seen = viewOf(n);
    const drawn = panel.small && panel.range === range.join() ? panel.small : new OffscreenCanvas(width, height);
    if (drawn !== panel.small) {
      drawn.getContext("2d").putImageData(panelPixels(panel, ...range, width, height), 0, 0);
      Object.assign(panel, { small: drawn, range: range.join() });
    }
    context.imageSmoothingEnabled = false;
    const part = [seen.left, seen.top, width / seen.zoom, height / seen.zoom];
    context.drawImage(drawn, ...part, 0, 0, canvas.width, canvas.height);
    const place = placeIn(panel, instance.at, width), step = scale * seen.zoom;
    const x = (place.x + 0.5 - seen.left) * step, y = (place.y + 0.5 - seen.top) * step;
    for (const [colour, thick] of [["#000000", 3], ["#F0E442", 1]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.beginPath();
      const lines = [[0, y, x - 6, y], [x + 6, y, canvas.width, y], [x, 0, x, y - 6], [x, y + 6, x, canvas.height]];
      for (const [a, b, c, d] of lines) {
        context.moveTo(a, b);
        context.lineTo(c, d);
      }
      context.stroke();
    }
    const column = Math.round(place.x), row = Math.round(place.y);
    const inside = column >= 0 && row >= 0 && column < width && row < height;
    const value = inside ? panel.values[row * width + column] : null;
    const text = value === null ? "outside" : panel.names ? panel.names[value] : (value / LOUPE).toFixed(3);
    views.children[n].querySelector(".value").textContent = text;
    views.children[n].querySelectorAll(".bar span").forEach((end, k) => (end.textContent = Number(range[k].toFixed(2))));
    views.children[n].classList.toggle("active", !linked.checked && n === instance.active);
    return text;
  };
  const show = () => {
    const { x, y } = instance.at, size = data.mm;
    const mm = size ? `; ${(x * size).toFixed(1)}, ${(y * size).toFixed(1)} mm` : "; size in mm unknown";
    const texts = panels.map((panel, n) => `${panel.title} ${draw(n)}`);
    said.textContent = `x ${x}, y ${y} pixels${mm}: ${texts.join(" · ")}`;
  };
  const changed = (change) => {
    const which = linked.checked ? panels.keys() : [instance.active];
    for (const n of which) Object.assign(instance.views[n], change(n));
    show();
  };
  const toSliders = () => {
    for (const [name, slider] of Object.entries(sliders)) slider.value = instance.views[instance.active][name];
  };

  sliders.zoom.oninput = () =>
    changed((n) => {
      const { x, y } = placeIn(panels[n], instance.at, width);
      return { zoom: Number(sliders.zoom.value), x: x + 0.5, y: y + 0.5 };
    });
  for (const name of ["low", "high"]) sliders[name].oninput = () => changed(() => ({ [name]: Number(sliders[name].value) }));
  linked.onchange = () => {
    if (linked.checked) instance.views = panels.map(() => ({ ...instance.views[instance.active] }));
    toSliders();
    show();
  };
  find("[data-reset]").onclick = () => {
    instance.views = panels.map(start);
    toSliders();
    show();
  };
  canvases.forEach((canvas, n) => {
    const activate = () => {
      if (instance.active === n) return;
      instance.active = n;
      toSliders();
    };
    canvas.onpointermove = canvas.onpointerdown = (event) => {
      if (panels[n].positions) return; // of another frame: it shows where the crosshair falls, and does not move it
      const box = canvas.getBoundingClientRect(), seen = viewOf(n);
      const x = Math.floor(seen.left + ((event.clientX - box.left) / box.width) * (width / seen.zoom));
      const y = Math.floor(seen.top + ((event.clientY - box.top) / box.height) * (height / seen.zoom));
      if (x < 0 || y < 0 || x >= width || y >= height) return;
      activate();
      if (event.type === "pointermove" && event.buttons && seen.zoom > 1) {
        const step = (box.width / width) * seen.zoom; // a zoomed view is dragged
        return changed((m) => ({
          x: instance.views[m].x - event.movementX / step,
          y: instance.views[m].y - event.movementY / step,
        }));
      }
      instance.at = { x, y };
      show();
    };
    canvas.onkeydown = (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!moves) return;
      event.preventDefault();
      const [dx, dy] = moves.map((d) => d * (event.shiftKey ? 10 : 1));
      const { x, y } = instance.at;
      instance.at = { x: Math.min(Math.max(x + dx, 0), width - 1), y: Math.min(Math.max(y + dy, 0), height - 1) };
      show();
    };
  });
  toSliders();
  show();
}
