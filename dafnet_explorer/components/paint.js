// A brush over an anatomy. The picture is the encoder's labels with a list of strokes, which Python replays
// (dafnet_core/analysis/editing.py); undo removes the last one. Python is notified when a stroke ends.

const SCALE = 4; // canvas pixels a pixel of the image
const ERASER = -1;

export default function ({ data, parentElement, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const kept = instances.get(parentElement) ?? { channel: data.start, at: null };
  instances.set(parentElement, kept);
  const { width, height } = data;
  const canvas = find("canvas"), status = find("output");
  const radius = find("[data-radius]"), opacity = find("[data-opacity]");

  const dab = (labels, channel, r, x, y) => {
    let painted = 0;
    for (let v = Math.max(y - r, 0); v <= Math.min(y + r, height - 1); v++) {
      for (let u = Math.max(x - r, 0); u <= Math.min(x + r, width - 1); u++) {
        if ((u - x) ** 2 + (v - y) ** 2 > r * r) continue;
        const p = v * width + u, next = channel === ERASER ? kept.base[p] : channel;
        if (labels[p] !== next) painted++;
        labels[p] = next;
      }
    }
    return painted;
  };
  const replay = () => {
    kept.labels = kept.base.slice();
    for (const s of kept.strokes) for (const [x, y] of s.points) dab(kept.labels, s.channel, s.radius, x, y);
  };
  const fresh = kept.owner !== data.owner; // otherwise the server returns the state that is drawn already
  if (fresh) {
    kept.owner = data.owner;
    kept.image = bytes(data.image);
    kept.base = bytes(data.labels);
    kept.colours = data.channels.map((c) => rgb(c.colour));
    kept.strokes = data.state?.strokes ?? [];
    kept.undone = data.state?.undone ?? [];
    kept.channel = Math.min(kept.channel, data.channels.length - 1);
    kept.stroke = null;
    canvas.width = width * SCALE;
    canvas.height = height * SCALE;
    replay();
  }
  canvas.setAttribute("aria-label", `${data.title}: arrow keys move the brush, space paints, control Z undoes`);

  const draw = () => {
    const pixels = greyPixels(kept.image, width, height), share = Number(opacity.value);
    for (let p = 0; p < kept.labels.length; p++) {
      const colour = kept.colours[kept.labels[p]];
      for (let c = 0; c < 3; c++) pixels.data[4 * p + c] += share * (colour[c] - pixels.data[4 * p + c]);
    }
    const context = canvas.getContext("2d");
    enlarge(context, pixels, SCALE);
    if (kept.at) {
      const [x, y] = kept.at;
      for (const [colour, line] of [["#000", 4], ["#fff", 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = line;
        context.beginPath();
        context.arc((x + 0.5) * SCALE, (y + 0.5) * SCALE, (Number(radius.value) + 0.5) * SCALE, 0, 2 * Math.PI);
        context.stroke();
      }
    }
    find("[data-undo]").disabled = !kept.strokes.length;
    find("[data-redo]").disabled = !kept.undone.length;
    find("[data-clear]").disabled = !kept.strokes.length;
  };
  const soon = () => {
    if (kept.asked) return;
    kept.asked = requestAnimationFrame(() => {
      kept.asked = 0;
      draw();
    });
  };
  const tell = (text) => {
    status.textContent = text;
    setStateValue("state", { owner: data.owner, strokes: kept.strokes, undone: kept.undone });
  };
  const name = (channel) => (channel === ERASER ? "the eraser" : data.channels[channel].name);

  const begin = () => {
    kept.stroke = { channel: kept.channel, radius: Number(radius.value), points: [] };
    kept.painted = 0;
  };
  const through = (x, y) => {
    const last = kept.stroke.points.at(-1) ?? [x, y];
    const steps = Math.max(Math.abs(x - last[0]), Math.abs(y - last[1]), 1);
    for (let k = kept.stroke.points.length ? 1 : steps; k <= steps; k++) {
      const point = last.map((v, axis) => Math.round(v + ((axis ? y : x) - v) * (k / steps)));
      kept.stroke.points.push(point);
      kept.painted += dab(kept.labels, kept.stroke.channel, kept.stroke.radius, ...point);
    }
  };
  const end = () => {
    const { stroke } = kept;
    kept.stroke = null;
    if (!stroke?.points.length) return;
    kept.strokes = [...kept.strokes, stroke];
    kept.undone = [];
    draw();
    tell(`${kept.painted} pixels painted with ${name(stroke.channel)}.`);
  };
  const pixel = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      Math.floor(((event.clientX - box.left) / box.width) * width),
      Math.floor(((event.clientY - box.top) / box.height) * height),
    ];
  };
  canvas.onpointerdown = (event) => {
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    begin();
    through(...(kept.at = pixel(event)));
    soon();
  };
  canvas.onpointermove = (event) => {
    kept.at = pixel(event);
    if (kept.stroke && canvas.hasPointerCapture(event.pointerId)) through(...kept.at);
    soon();
  };
  canvas.onpointerup = canvas.onpointercancel = end;
  canvas.onpointerleave = () => {
    if (!kept.stroke) kept.at = null;
    soon();
  };
  canvas.onkeydown = (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    kept.at ??= [Math.floor(width / 2), Math.floor(height / 2)];
    if (way) {
      const pixels = event.shiftKey ? 8 : 1;
      const most = [width - 1, height - 1];
      kept.at = kept.at.map((v, axis) => Math.min(Math.max(v + pixels * way[axis], 0), most[axis]));
      status.textContent = `Column ${kept.at[0]}, row ${kept.at[1]}: ${name(kept.labels[kept.at[1] * width + kept.at[0]])}`;
    } else if (event.key === " ") {
      begin();
      through(...kept.at);
      end();
    } else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
      (event.shiftKey ? redo : undo)();
    } else return;
    event.preventDefault();
    soon();
  };
  const undo = () => {
    if (!kept.strokes.length) return;
    kept.undone = [...kept.undone, kept.strokes.at(-1)];
    kept.strokes = kept.strokes.slice(0, -1);
    replay();
    draw();
    tell("Stroke undone.");
  };
  const redo = () => {
    if (!kept.undone.length) return;
    kept.strokes = [...kept.strokes, kept.undone.at(-1)];
    kept.undone = kept.undone.slice(0, -1);
    replay();
    draw();
    tell("Stroke redone.");
  };
  find("[data-undo]").onclick = undo;
  find("[data-redo]").onclick = redo;
  find("[data-clear]").onclick = () => {
    kept.undone = [...kept.strokes].reverse();
    kept.strokes = [];
    replay();
    draw();
    tell("All strokes removed.");
  };
  radius.oninput = opacity.oninput = soon;

  const choices = [...data.channels.map((c, k) => [k, c.name, c.colour]), [ERASER, "eraser", null]];
  find("[data-channels]").replaceChildren(
    ...choices.map(([channel, title, colour]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", channel === kept.channel);
      if (colour) {
        const swatch = document.createElement("span");
        swatch.className = "swatch";
        swatch.style.background = colour;
        button.append(swatch);
      }
      button.append(title);
      button.onclick = () => {
        kept.channel = channel;
        button.parentElement.querySelectorAll("button").forEach((b) => b.setAttribute("aria-checked", b === button));
      };
      return button;
    }),
  );
  if (fresh) draw();
}
