// Names of the user's files, kept by this tab of the browser alone: after a reload the page says which to drop again.

const PLACE = "dafnet-files";

export default function ({ data, setStateValue }) {
  try {
    if (data.names?.length) sessionStorage.setItem(PLACE, JSON.stringify(data.names));
    else if (data.names) sessionStorage.removeItem(PLACE);
    else if (!data.asked && sessionStorage.getItem(PLACE)) {
      setStateValue("names", JSON.parse(sessionStorage.getItem(PLACE)));
    }
  } catch {
    // a browser that keeps nothing, or something else in this place: nothing is remembered
  }
}
