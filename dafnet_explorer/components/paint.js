// A brush over an anatomy, and channels that are reshaped. The picture is the encoder's labels with a list of actions,
// which Python replays (dafnet_core/analysis/painting.py); undo removes the last one. Python is notified after each.

const SCALE = 4; // canvas pixels a pixel of the image
const ERASER = -1;

export default function ({ data, parentElement, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const instance = instances.get(parentElement) ?? { channel: data.start, at: null };
  instances.set(parentElement, instance);
  const { width, height } = data;
  const canvas = find("canvas"), status = find("output");
  const radius = find("[data-radius]"), opacity = find("[data-opacity]");

  const dab = (labels, channel, r, x, y) => {
    let painted = 0;
    for (let v = Math.max(y - r, 0); v <= Math.min(y + r, height - 1); v++) {
      for (let u = Math.max(x - r, 0); u <= Math.min(x + r, width - 1); u++) {
        if ((u - x) ** 2 + (v - y) ** 2 > r * r) continue;
        const p = v * width + u, next = channel === ERASER ? instance.base[p] : channel;
        if (labels[p] !== next) painted++;
        labels[p] = next;
      }
    }
    return painted;
  };
  const apply = (action) => {
    if (action.kind === "reset") instance.labels = instance.base.slice();
    else if (action.kind === "reshape") instance.labels = reshaped(instance.labels, action, width, height);
    else for (const [x, y] of action.points) dab(instance.labels, action.channel, action.radius, x, y);
  };
  const replay = () => {
    instance.labels = instance.base.slice();
    instance.actions.forEach(apply);
  };
  const isNew = instance.owner !== data.owner; // otherwise the server returns the state that is drawn already
  if (isNew) {
    instance.owner = data.owner;
    instance.image = bytes(data.image);
    instance.base = bytes(data.labels);
    instance.colours = data.channels.map((c) => rgb(c.colour));
    instance.actions = data.state?.actions ?? [];
    instance.undone = data.state?.undone ?? [];
    instance.channel = Math.min(instance.channel, data.channels.length - 1);
    instance.stroke = null;
    canvas.width = width * SCALE;
    canvas.height = height * SCALE;
    replay();
  }
  canvas.setAttribute("aria-label", `${data.title}: arrow keys move the brush, space paints, control Z undoes`);

  const draw = () => {
    const pixels = imagePixels(instance.image, width, height), share = Number(opacity.value);
    for (let p = 0; p < instance.labels.length; p++) {
      const colour = instance.colours[instance.labels[p]];
      for (let c = 0; c < 3; c++) pixels.data[4 * p + c] += share * (colour[c] - pixels.data[4 * p + c]);
    }
    const context = canvas.getContext("2d");
    enlarge(context, pixels, SCALE);
    if (instance.at) {
      const [x, y] = instance.at;
      for (const [colour, line] of [["#000", 4], ["#fff", 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = line;
        context.beginPath();
        context.arc((x + 0.5) * SCALE, (y + 0.5) * SCALE, (Number(radius.value) + 0.5) * SCALE, 0, 2 * Math.PI);
        context.stroke();
      }
    }
    find("[data-undo]").disabled = !instance.actions.length;
    find("[data-redo]").disabled = !instance.undone.length;
    find("[data-reset]").disabled = (instance.actions.at(-1)?.kind ?? "reset") === "reset";
    for (const name of ["grow", "shrink", "move"]) find(`[data-${name}]`).disabled = instance.channel === ERASER;
  };
  const requestDraw = () => {
    if (instance.frameRequest) return;
    instance.frameRequest = requestAnimationFrame(() => {
      instance.frameRequest = 0;
      draw();
    });
  };
  const send = (text) => {
    draw();
    status.textContent = text;
    setStateValue("state", { owner: data.owner, actions: instance.actions, undone: instance.undone });
  };
  const add = (action) => {
    instance.actions = [...instance.actions, action];
    instance.undone = [];
  };
  const name = (channel) => (channel === ERASER ? "the eraser" : data.channels[channel].name);

  const begin = () => {
    instance.stroke = { kind: "stroke", channel: instance.channel, radius: Number(radius.value), points: [] };
    instance.painted = 0;
  };
  const through = (x, y) => {
    const last = instance.stroke.points.at(-1) ?? [x, y];
    const steps = Math.max(Math.abs(x - last[0]), Math.abs(y - last[1]), 1);
    for (let k = instance.stroke.points.length ? 1 : steps; k <= steps; k++) {
      const point = last.map((v, axis) => Math.round(v + ((axis ? y : x) - v) * (k / steps)));
      instance.stroke.points.push(point);
      instance.painted += dab(instance.labels, instance.stroke.channel, instance.stroke.radius, ...point);
    }
  };
  const end = () => {
    const { stroke } = instance;
    instance.stroke = null;
    if (!stroke?.points.length) return;
    add(stroke);
    send(`${instance.painted} pixels painted with ${name(stroke.channel)}.`);
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
    through(...(instance.at = pixel(event)));
    requestDraw();
  };
  canvas.onpointermove = (event) => {
    instance.at = pixel(event);
    if (instance.stroke && canvas.hasPointerCapture(event.pointerId)) through(...instance.at);
    requestDraw();
  };
  canvas.onpointerup = canvas.onpointercancel = end;
  canvas.onpointerleave = () => {
    if (!instance.stroke) instance.at = null;
    requestDraw();
  };
  canvas.onkeydown = (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    instance.at ??= [Math.floor(width / 2), Math.floor(height / 2)];
    if (way) {
      const pixels = event.shiftKey ? 8 : 1;
      const most = [width - 1, height - 1];
      instance.at = instance.at.map((v, axis) => Math.min(Math.max(v + pixels * way[axis], 0), most[axis]));
      status.textContent = `Column ${instance.at[0]}, row ${instance.at[1]}: ${name(instance.labels[instance.at[1] * width + instance.at[0]])}`;
    } else if (event.key === " ") {
      begin();
      through(...instance.at);
      end();
    } else return;
    event.preventDefault();
    requestDraw();
  };

  const [mostGrowth, mostMove] = data.most;
  const number = (selector, least, most) => {
    const input = find(selector);
    [input.min, input.max] = [least, most];
    input.value = Math.min(Math.max(Math.round(Number(input.value)) || 0, least), most);
    return Number(input.value);
  };
  const reshape = (change, text) => {
    const action = { kind: "reshape", channel: instance.channel, grow: 0, dx: 0, dy: 0, ...change };
    const before = instance.labels;
    instance.labels = before.slice();
    apply(action);
    const changed = instance.labels.reduce((sum, label, p) => sum + (label !== before[p]), 0);
    if (!changed) {
      status.textContent = `${name(instance.channel)} ${text}: nothing changes.`;
      return;
    }
    add(action);
    send(`${name(instance.channel)} ${text}: ${changed} pixels changed.`);
  };
  find("[data-grow]").onclick = () => {
    const grow = number("[data-pixels]", 1, mostGrowth);
    reshape({ grow }, `grown by ${grow}`);
  };
  find("[data-shrink]").onclick = () => {
    const pixels = number("[data-pixels]", 1, mostGrowth);
    reshape({ grow: -pixels }, `shrunk by ${pixels}`);
  };
  find("[data-move]").onclick = () => {
    const [dx, dy] = ["[data-dx]", "[data-dy]"].map((selector) => number(selector, -mostMove, mostMove));
    reshape({ dx, dy }, `moved by ${dx}, ${dy}`);
  };

  const undo = () => {
    if (!instance.actions.length || instance.stroke) return;
    instance.undone = [...instance.undone, instance.actions.at(-1)];
    instance.actions = instance.actions.slice(0, -1);
    replay();
    send("Undone.");
  };
  const redo = () => {
    if (!instance.undone.length || instance.stroke) return;
    instance.actions = [...instance.actions, instance.undone.at(-1)];
    instance.undone = instance.undone.slice(0, -1);
    replay();
    send("Redone.");
  };
  find("[data-undo]").onclick = undo;
  find("[data-redo]").onclick = redo;
  find("[data-reset]").onclick = () => {
    add({ kind: "reset" });
    replay();
    send("Back to the model's anatomy.");
  };
  radius.oninput = opacity.oninput = requestDraw;

  const choices = [...data.channels.map((c, k) => [k, c.name, c.colour]), [ERASER, "eraser", null]];
  find("[data-channels]").replaceChildren(
    ...choices.map(([channel, title, colour]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", channel === instance.channel);
      if (colour) {
        const swatch = document.createElement("span");
        swatch.className = "swatch";
        swatch.style.background = colour;
        button.append(swatch);
      }
      button.append(title);
      button.onclick = () => {
        instance.channel = channel;
        button.parentElement.querySelectorAll("button").forEach((b) => b.setAttribute("aria-checked", b === button));
        draw();
      };
      return button;
    }),
  );
  if (isNew) draw();
  return onUndoKeys(instance, undo, redo);
}
