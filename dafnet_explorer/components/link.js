// Copies the address of the page. Browsers give the clipboard to pages of this machine and of https only; elsewhere the
// older way, by a selected text, works.

const SAID = 2000; // milliseconds

function copySelected(text) {
  const box = document.createElement("textarea");
  box.value = text;
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  return done;
}

export default function ({ parentElement }) {
  const button = parentElement.querySelector("button");
  button.onclick = async () => {
    let done;
    try {
      await navigator.clipboard.writeText(location.href);
      done = true;
    } catch {
      done = copySelected(location.href);
    }
    button.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => (button.textContent = "Copy link"), SAID);
  };
}
