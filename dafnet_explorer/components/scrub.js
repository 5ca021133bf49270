// Frames are sent once; the pointer or the arrow keys select them without a request to the server.

export default function ({ data, parentElement }) {
  const find = (selector) => parentElement.querySelector(selector);
  const canvas = find("canvas"), range = find("input"), said = find("output");
  const instance = instances.get(parentElement) ?? {};
  instances.set(parentElement, instance);
  if (instance.owner !== data.owner) {
    instance.owner = data.owner;
    instance.frame = data.start;
    instance.levels = bytes(data.frames);
    canvas.width = data.width;
    canvas.height = data.height;
  }
  const last = data.labels.length - 1, size = data.width * data.height;
  const show = (frame) => {
    instance.frame = Math.min(Math.max(frame, 0), last);
    const part = instance.levels.subarray(instance.frame * size, (instance.frame + 1) * size);
    canvas.getContext("2d").putImageData(greyPixels(part, data.width, data.height), 0, 0);
    canvas.dataset.frame = instance.frame;
    range.value = instance.frame;
    said.textContent = data.labels[instance.frame];
    range.setAttribute("aria-valuetext", data.labels[instance.frame]);
  };
  range.max = last;
  range.setAttribute("aria-label", data.title);
  canvas.setAttribute("aria-label", data.title);
  range.oninput = () => show(Number(range.value));
  const showAtPointer = (event) => {
    const box = canvas.getBoundingClientRect();
    show(Math.floor(((event.clientX - box.left) / box.width) * (last + 1)));
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    showAtPointer(event);
  };
  canvas.onpointermove = (event) => {
    if (event.pointerType === "mouse" || canvas.hasPointerCapture(event.pointerId)) showAtPointer(event);
  };
  show(instance.frame);
}
