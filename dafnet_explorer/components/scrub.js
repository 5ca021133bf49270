// Frames are sent once; the pointer or the arrow keys select them without a request to the server.

export default function ({ data, parentElement }) {
  const find = (selector) => parentElement.querySelector(selector);
  const canvas = find("canvas"), range = find("input"), said = find("output");
  const kept = instances.get(parentElement) ?? {};
  instances.set(parentElement, kept);
  if (kept.owner !== data.owner) {
    kept.owner = data.owner;
    kept.frame = data.start;
    kept.levels = bytes(data.frames);
    canvas.width = data.width;
    canvas.height = data.height;
  }
  const last = data.labels.length - 1, size = data.width * data.height;
  const show = (frame) => {
    kept.frame = Math.min(Math.max(frame, 0), last);
    const part = kept.levels.subarray(kept.frame * size, (kept.frame + 1) * size);
    canvas.getContext("2d").putImageData(greyPixels(part, data.width, data.height), 0, 0);
    canvas.dataset.frame = kept.frame;
    range.value = kept.frame;
    said.textContent = data.labels[kept.frame];
    range.setAttribute("aria-valuetext", data.labels[kept.frame]);
  };
  range.max = last;
  range.setAttribute("aria-label", data.title);
  canvas.setAttribute("aria-label", data.title);
  range.oninput = () => show(Number(range.value));
  const follow = (event) => {
    const box = canvas.getBoundingClientRect();
    show(Math.floor(((event.clientX - box.left) / box.width) * (last + 1)));
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    follow(event);
  };
  canvas.onpointermove = (event) => {
    if (event.pointerType === "mouse" || canvas.hasPointerCapture(event.pointerId)) follow(event);
  };
  show(kept.frame);
}
