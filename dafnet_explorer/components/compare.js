// Two images over each other: before at the left of a line, after at its right. The line follows the pointer.

const TIMES = 4; // canvas pixels a pixel of the image

export default function ({ data, parentElement }) {
  const canvas = parentElement.querySelector("canvas"), range = parentElement.querySelector("input");
  const { width, height } = data;
  const images = [data.before, data.after].map((levels) => imagePixels(bytes(levels), width, height));
  canvas.width = width * TIMES;
  canvas.height = height * TIMES;
  canvas.setAttribute("aria-label", data.title);
  parentElement.querySelectorAll(".ends span").forEach((end, n) => (end.textContent = data.ends[n]));
  range.setAttribute("aria-label", `Line between ${data.ends[0]} and ${data.ends[1]}`);
  const draw = () => {
    const context = canvas.getContext("2d"), line = Number(range.value) * canvas.width;
    enlarge(context, images[1], TIMES);
    context.save();
    context.beginPath();
    context.rect(0, 0, line, canvas.height);
    context.clip();
    enlarge(context, images[0], TIMES);
    context.restore();
    context.fillStyle = "#F0E442";
    context.fillRect(line - 1, 0, 2, canvas.height);
  };
  const moveToPointer = (event) => {
    const box = canvas.getBoundingClientRect();
    range.value = (event.clientX - box.left) / box.width;
    draw();
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    moveToPointer(event);
  };
  canvas.onpointermove = (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) moveToPointer(event);
  };
  range.oninput = draw;
  draw();
}
