// The aligner's control points over the moving image, and the warped anatomy on the fixed image, updated while dragging.
// Python is notified when a point is released. The state is {past, now, future}, lists of offsets.

const FACTOR = 3; // canvas pixels a pixel of the image
const EVERY = 8; // pixels between lines of the grid
const MARGIN = 0.08; // share of the image's side, for control points outside the image
const PAST = 30;

export default function ({ data, parentElement, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const instance = instances.get(parentElement) ?? {};
  instances.set(parentElement, instance);
  const { width, height, side } = data;
  const rest = controlPoints(side);
  const isNew = instance.owner !== data.owner; // otherwise the server returns the state that is drawn already
  if (isNew) {
    instance.owner = data.owner;
    instance.state = data.state ?? { past: [], now: data.presets.predicted, future: [] };
    instance.fixed = bytes(data.fixed);
    instance.moving = bytes(data.moving);
    instance.anatomy = bytes(data.anatomy);
    instance.colours = data.colours.map((c) => (c ? rgb(c) : null));
    instance.size ??= "";
    if (instance.size !== `${width} ${height} ${side}`) {
      instance.size = `${width} ${height} ${side}`;
      instance.matrix = splineMatrix(width, height, side);
    }
  }
  const left = find("[data-left]"), right = find("[data-right]"), pane = find("[data-handles]");
  const status = find("output"), opacity = find("[data-opacity]");
  const around = Math.round(MARGIN * Math.max(width, height));
  if (isNew) {
    left.width = (width + 2 * around) * FACTOR;
    left.height = (height + 2 * around) * FACTOR;
    right.width = width * FACTOR;
    right.height = height * FACTOR;
  }
  find("[data-moving]").textContent = data.titles[0];
  find("[data-fixed]").textContent = data.titles[1];
  left.setAttribute("aria-label", data.titles[0]);
  right.setAttribute("aria-label", data.titles[1]);

  const mixed = (levels, labels) => {
    const pixels = imagePixels(levels, width, height), share = Number(opacity.value);
    for (let p = 0; p < labels.length; p++) {
      const colour = instance.colours[labels[p]];
      if (!colour) continue;
      for (let c = 0; c < 3; c++) pixels.data[4 * p + c] += share * (colour[c] - pixels.data[4 * p + c]);
    }
    return pixels;
  };
  const place = (button, k) => {
    const [x, y] = instance.state.now[k];
    const u = ((rest[k][0] + x + 1) / 2) * width + around, v = ((rest[k][1] + y + 1) / 2) * height + around;
    button.style.left = `${(100 * u) / (width + 2 * around)}%`;
    button.style.top = `${(100 * v) / (height + 2 * around)}%`;
    const [dx, dy] = [(x * width) / 2, (y * height) / 2].map((d) => d.toFixed(1));
    button.setAttribute(
      "aria-label",
      `Control point, row ${Math.floor(k / side) + 1}, column ${(k % side) + 1}: ${dx}, ${dy} pixels; arrow keys move it`,
    );
  };
  const draw = () => {
    const at = positions(instance.matrix, instance.state.now, width, height), folded = folds(at, width, height);
    const l = left.getContext("2d"), r = right.getContext("2d");
    l.clearRect(0, 0, left.width, left.height);
    l.save();
    l.translate(around * FACTOR, around * FACTOR);
    enlarge(l, mixed(instance.moving, instance.anatomy), FACTOR);
    l.strokeStyle = "#F0E442";
    l.lineWidth = 1.5;
    const line = (indices) => {
      l.beginPath();
      for (const p of indices) l.lineTo((at[2 * p] + 0.5) * FACTOR, (at[2 * p + 1] + 0.5) * FACTOR);
      l.stroke();
    };
    for (let y = EVERY / 2; y < height; y += EVERY) line(Array.from({ length: width }, (_, x) => y * width + x));
    for (let x = EVERY / 2; x < width; x += EVERY) line(Array.from({ length: height }, (_, y) => y * width + x));
    l.restore();

    const warped = new Uint8Array(width * height); // nearest pixel: labels cannot be interpolated
    for (let p = 0; p < warped.length; p++) {
      const x = Math.min(Math.max(Math.round(at[2 * p]), 0), width - 1);
      const y = Math.min(Math.max(Math.round(at[2 * p + 1]), 0), height - 1);
      warped[p] = instance.anatomy[y * width + x];
    }
    const pixels = mixed(instance.fixed, warped);
    let count = 0;
    for (let p = 0; p < folded.length; p++) {
      if (!folded[p]) continue;
      count++;
      pixels.data.set([255, 0, 160, 255], 4 * p);
    }
    enlarge(r, pixels, FACTOR);
    instance.buttons.forEach(place);
    find("[data-undo]").disabled = !instance.state.past.length;
    find("[data-redo]").disabled = !instance.state.future.length;
    status.textContent = count ? `Folding in ${count} pixels (pink).` : "No folding.";
  };
  const requestDraw = () => {
    if (instance.frameRequest) return;
    instance.frameRequest = requestAnimationFrame(() => {
      instance.frameRequest = 0;
      draw();
    });
  };
  const rounded = (offsets) => offsets.map((o) => o.map((v) => Math.round(v * 1e6) / 1e6));
  const send = () => setStateValue("state", { owner: data.owner, ...instance.state });
  const change = (offsets) => {
    const past = [...instance.state.past, instance.state.now].slice(-PAST);
    instance.state = { past, now: rounded(offsets), future: [] };
    draw();
    send();
  };
  const step = (from, to) => {
    const { now, ...lists } = instance.state;
    if (!lists[from].length || instance.hold) return;
    const next = lists[from].at(-1);
    instance.state = { ...lists, [from]: lists[from].slice(0, -1), [to]: [...lists[to], now], now: next };
    draw();
    send();
  };
  const moved = (k, x, y) => instance.state.now.map((o, n) => (n === k ? [x, y] : o));

  if (instance.buttons?.length !== rest.length) {
    pane.querySelectorAll(".point").forEach((b) => b.remove());
    instance.buttons = rest.map(() => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "point";
      pane.append(button);
      return button;
    });
  }
  instance.buttons.forEach((button, k) => {
    const at = (event) => {
      const box = left.getBoundingClientRect(), scale = (width + 2 * around) / box.width;
      const u = (event.clientX - box.left) * scale - around, v = (event.clientY - box.top) * scale - around;
      return [(2 * u) / width - 1 - rest[k][0], (2 * v) / height - 1 - rest[k][1]];
    };
    button.onpointerdown = (event) => {
      button.setPointerCapture(event.pointerId);
      button.classList.add("held");
      const [x, y] = at(event), [ox, oy] = instance.state.now[k];
      instance.hold = { before: instance.state.now, shift: [ox - x, oy - y] };
    };
    button.onpointermove = (event) => {
      if (!instance.hold || !button.hasPointerCapture(event.pointerId)) return;
      const [x, y] = at(event), { shift } = instance.hold;
      instance.state = { ...instance.state, now: moved(k, x + shift[0], y + shift[1]) };
      requestDraw();
    };
    button.onpointerup = button.onpointercancel = () => {
      button.classList.remove("held");
      if (!instance.hold) return;
      const { now } = instance.state, { before } = instance.hold;
      instance.hold = null;
      if (now === before) return;
      instance.state = { ...instance.state, now: before };
      change(now);
    };
    button.onkeydown = (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const pixels = event.shiftKey ? 5 : 1, [x, y] = instance.state.now[k];
      change(moved(k, x + (2 * pixels * way[0]) / width, y + (2 * pixels * way[1]) / height));
    };
  });
  parentElement.querySelectorAll("[data-preset]").forEach((button) => {
    const offsets = data.presets[button.dataset.preset];
    button.hidden = !offsets;
    button.onclick = () => change(offsets);
  });
  const undo = () => step("past", "future"), redo = () => step("future", "past");
  find("[data-undo]").onclick = undo;
  find("[data-redo]").onclick = redo;
  opacity.oninput = requestDraw;
  if (isNew) draw();
  return onUndoKeys(instance, undo, redo);
}
