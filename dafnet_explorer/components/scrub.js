// Frames are sent once; the pointer or the arrow keys move through them without a request to the server. Python is
// notified of the frame at which the user stops.

const STOPPED = 250; // milliseconds

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const canvas = find("canvas"), range = find("input"), said = find("output");
  const instance = instances.get(parentElement) ?? {};
  instances.set(parentElement, instance);
  if (instance.owner !== data.owner) {
    instance.owner = data.owner;
    instance.levels = bytes(data.frames);
    instance.told = null;
    clearTimeout(instance.waiting);
    instance.waiting = 0;
    canvas.width = data.width;
    canvas.height = data.height;
  }
  const last = data.labels.length - 1, size = data.width * data.height;
  const show = (frame) => {
    instance.frame = Math.min(Math.max(frame, 0), last);
    const part = instance.levels.subarray(instance.frame * size, (instance.frame + 1) * size);
    canvas.getContext("2d").putImageData(imagePixels(part, data.width, data.height), 0, 0);
    canvas.dataset.frame = instance.frame;
    range.value = instance.frame;
    said.textContent = data.labels[instance.frame];
    range.setAttribute("aria-valuetext", data.labels[instance.frame]);
  };
  const move = (frame) => {
    if (frame === instance.frame) return;
    show(frame);
    clearTimeout(instance.waiting);
    if (!data.told) return;
    instance.waiting = setTimeout(() => {
      instance.waiting = 0;
      setTriggerValue("frame", instance.frame);
    }, STOPPED);
  };
  range.max = last;
  range.setAttribute("aria-label", data.title);
  canvas.setAttribute("aria-label", data.title);
  range.oninput = () => move(Number(range.value));
  const moveToPointer = (event) => {
    const box = canvas.getBoundingClientRect(), at = Math.floor(((event.clientX - box.left) / box.width) * (last + 1));
    move(Math.min(Math.max(at, 0), last));
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    moveToPointer(event);
  };
  canvas.onpointermove = (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) moveToPointer(event);
  };
  if (instance.told !== data.frame && !instance.waiting) show(data.frame); // a frame that Python has chosen
  instance.told = data.frame;
}
