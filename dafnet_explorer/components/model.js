// The model as a diagram. Its blocks are links to stations of the tour; a plain click is told to Python instead, which
// opens the station in the same session.

const SVG = "http://www.w3.org/2000/svg", WIDTH = 152, HEIGHT = 50;

function add(parent, name, attributes, text = "") {
  const element = parent.appendChild(document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

export default function ({ data, parentElement, setTriggerValue }) {
  parentElement.querySelector(".arrows").dataset.aligned = data.aligned;
  const group = parentElement.querySelector(".blocks");
  group.replaceChildren();
  for (const { name, shape, station, x, y } of data.blocks) {
    const address = new URL("tour", location.href);
    address.search = new URLSearchParams([...new URLSearchParams(location.search), ["station", station]]);
    const link = add(group, "a", { href: address, "aria-label": `${name}, ${shape}: station ${station} of the tour` });
    add(link, "rect", { x, y, width: WIDTH, height: HEIGHT, rx: 6 });
    const middle = { x: x + WIDTH / 2, "text-anchor": "middle" };
    add(link, "text", { ...middle, y: y + 21, class: "name" }, name);
    add(link, "text", { ...middle, y: y + 39 }, shape);
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; // to another tab
      event.preventDefault();
      setTriggerValue("station", station);
    };
  }
}
