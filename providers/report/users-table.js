// The list of users: unpacks the columns of `columns.ts`, searches, sorts, and shows a page of rows.
(() => {
  const PAGE = 50;
  const element = (id) => document.getElementById(id);
  const data = JSON.parse(element("users-data").textContent);

  const unpack = ({ values, width, codes }) => {
    const numbers = new Uint32Array(data.count);
    for (let row = 0; row < data.count; row++)
      numbers[row] = parseInt(codes.slice(row * width, (row + 1) * width), 36);
    return { values, numbers, text: (row) => values[numbers[row]] };
  };

  const unpackIds = ({ uuids, texts }) => {
    if (texts) return texts;
    const bytes = atob(uuids);
    return Array.from({ length: data.count }, (_, row) => {
      let hex = "";
      for (let index = row * 16; index < row * 16 + 16; index++)
        hex += bytes.charCodeAt(index).toString(16).padStart(2, "0");
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    });
  };

  const ids = unpackIds(data.ids);
  const [local, domain, state, linked, told, signedIn, note] = [
    ...[data.local, data.domain, data.state, data.linked, data.told, data.signedIn, data.note],
  ].map(unpack);
  const label = (row) => local.text(row) + domain.text(row);

  // Values are numbered in their order, so that numbers sort faster and just as well.
  const byNumber = (column) => (a, b) => column.numbers[a] - column.numbers[b];
  const columns = {
    label: { text: label, compare: (a, b) => byNumber(local)(a, b) || byNumber(domain)(a, b) },
    id: { text: (row) => ids[row], compare: (a, b) => (ids[a] < ids[b] ? -1 : ids[a] > ids[b] ? 1 : 0) },
    state: { text: state.text, compare: byNumber(state) },
    linked: { text: linked.text, compare: byNumber(linked) },
    told: { text: told.text, compare: byNumber(told) },
    signedIn: { text: signedIn.text, compare: byNumber(signedIn) },
    note: { text: note.text, compare: byNumber(note) },
  };
  const keys = Object.keys(columns);

  const [search, states, table] = [element("users-search"), element("users-state"), element("users-table")];
  const body = table.tBodies[0];
  const heads = [...table.querySelectorAll("th[data-key]")];
  let [shown, first, sortedBy, direction] = [[], 0, "", 1];

  const choose = () => {
    const words = search.value.trim().toLowerCase();
    const wanted = state.values.indexOf(states.value);
    const isFound = (row) =>
      words === "" ||
      [label(row), ids[row], note.text(row)].some((text) => text.toLowerCase().includes(words));
    shown = [];
    for (let row = 0; row < data.count; row++)
      if ((wanted === -1 || state.numbers[row] === wanted) && isFound(row)) shown.push(row);
    if (sortedBy !== "") shown.sort((a, b) => direction * columns[sortedBy].compare(a, b) || a - b);
    first = 0;
    draw();
  };

  const draw = () => {
    const rows = shown.slice(first, first + PAGE).map((row) => {
      const line = document.createElement("tr");
      for (const key of keys) {
        const cell = document.createElement(key === "label" ? "th" : "td");
        if (key === "label") cell.scope = "row";
        // Text, never markup, whatever somebody has called himself.
        cell.textContent = columns[key].text(row);
        cell.dataset.key = key;
        line.append(cell);
      }
      return line;
    });
    body.replaceChildren(...rows);
    const format = (number) => number.toLocaleString("en");
    const last = Math.min(first + PAGE, shown.length);
    element("users-range").textContent =
      shown.length === 0
        ? "Nobody is found."
        : `${format(first + 1)}–${format(last)} of ${format(shown.length)}`;
    element("users-before").disabled = first === 0;
    element("users-after").disabled = last === shown.length;
  };

  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      direction = sortedBy === head.dataset.key ? -direction : 1;
      sortedBy = head.dataset.key;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      choose();
    });
  }
  let waiting;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(choose, 120);
  });
  states.addEventListener("change", choose);
  element("users-controls").addEventListener("submit", (event) => {
    event.preventDefault();
    choose();
  });
  const turn = (rows) => () => {
    first += rows;
    draw();
  };
  element("users-before").addEventListener("click", turn(-PAGE));
  element("users-after").addEventListener("click", turn(PAGE));
  // On paper nobody can open anything.
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });

  for (const value of state.values) states.append(new Option(value, value));
  for (const id of ["users-controls", "users-table", "users-pages"]) element(id).hidden = false;
  choose();
})();
