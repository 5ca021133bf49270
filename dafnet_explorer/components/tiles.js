// A contact sheet whose tiles can be clicked.

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".tiles"), picture = box.querySelector("img");
  if (picture.src !== data.picture) picture.src = data.picture;
  picture.alt = data.alt;
  const [width, height] = data.size;
  box.querySelectorAll("button").forEach((b) => b.remove());
  for (const [row, column, x, y, w, h] of data.tiles) {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1; // the page has select boxes for keyboard users, with fewer tab stops
    button.setAttribute("aria-label", `Tile in row ${row + 1}, column ${column + 1}`);
    button.setAttribute("aria-pressed", String(row === data.marked?.[0] && column === data.marked?.[1]));
    Object.assign(button.style, {
      left: `${(100 * x) / width}%`,
      top: `${(100 * y) / height}%`,
      width: `${(100 * w) / width}%`,
      height: `${(100 * h) / height}%`,
    });
    button.onclick = () => setTriggerValue("tile", [row, column]);
    box.append(button);
  }
}
