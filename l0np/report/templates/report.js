"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const count = data.name.length;
  const number = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
  const collator = new Intl.Collator("en", { numeric: true });
  const body = document.getElementById("rows");
  const search = document.getElementById("search");
  const byGroup = document.getElementById("by-group");
  const byStatus = document.getElementById("by-status");
  const [previous, next] = ["previous", "next"].map((id) => document.getElementById(id));
  const headers = [...document.querySelectorAll("#targets-table th[data-column]")];
  const hasGroups = data.groups.length > 0;

  // These two are `shown_number` and `shown_error` of rows.py
  const shownNumber = (value) => {
    if (value === null) return "-";
    const size = Math.abs(value);
    if (size >= 1000 && size < 1e15) return number.format(value).replace(/^-0$/, "0");
    if (value === 0) return "0";
    const [digits, power] = value.toExponential(3).split("e");
    if (power < -4 || power >= 4) {
      const exponent = Math.abs(power) < 10 ? `0${Math.abs(power)}` : Math.abs(power);
      return `${Number(digits)}e${power < 0 ? "-" : "+"}${exponent}`;
    }
    return String(Number(value.toPrecision(4)));
  };
  const shownError = (value) => {
    if (value === null) return "-";
    const size = Math.abs(value);
    if (size < 0.00005) return size <= 1e-6 ? "0.00%" : "<0.01%";
    if (size < 99.995) return `${(100 * value).toFixed(2)}%`;
    return size < 99999.5 ? `${value.toFixed(0)}x` : `${value.toExponential(0).replace(/e\+(\d)$/, "e+0$1")}x`;
  };

  // The rows in the file are sorted by error, the worst first
  const state = { column: "error", descending: true, page: 0 };
  let order = Array.from({ length: count }, (_, i) => i);
  let shown = order;
  let searched = null;

  const keys = {
    name: (i) => data.name[i],
    group: (i) => data.groups[data.group[i]],
    status: (i) => data.status[i],
    error: (i) => (data.error[i] === null ? Infinity : Math.abs(data.error[i])),
    target: (i) => data.target[i] ?? -Infinity,
    before: (i) => data.before[i] ?? -Infinity,
    after: (i) => data.after[i] ?? -Infinity,
  };

  const sort = () => {
    const key = keys[state.column];
    const values = Array.from({ length: count }, (_, i) => key(i));
    const sign = state.descending ? -1 : 1;
    const compare = typeof values[0] === "string"
      ? (i, j) => collator.compare(values[i], values[j])
      : (i, j) => (values[i] < values[j] ? -1 : values[i] > values[j] ? 1 : 0);
    order = Array.from({ length: count }, (_, i) => i).sort((i, j) => sign * compare(i, j) || i - j);
  };

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const group = byGroup && byGroup.value !== "" ? Number(byGroup.value) : null;
    const status = byStatus.value === "" ? null : data.statuses.indexOf(byStatus.value);
    if (words.length && searched === null) {
      searched = data.name.map((name, i) =>
        `${name} ${hasGroups ? data.groups[data.group[i]] : ""}`.toLowerCase());
    }
    shown = order.filter((i) =>
      (group === null || data.group[i] === group)
      && (status === null || data.status[i] === status)
      && words.every((word) => searched[i].includes(word)));
  };

  const cell = (kind, text, className) => {
    const made = document.createElement(kind);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const row = (i) => {
    const made = document.createElement("tr");
    const name = cell("th", data.name[i]);
    name.scope = "row";
    made.append(name);
    const status = data.statuses[data.status[i]];
    made.append(cell("td", shownError(data.error[i])));
    made.append(cell("td", status, `status ${status}`));
    for (const column of ["target", "after", "before"]) made.append(cell("td", shownNumber(data[column][i])));
    if (hasGroups) made.append(cell("td", data.groups[data.group[i]], "words"));
    return made;
  };

  const draw = () => {
    const pages = Math.max(1, Math.ceil(shown.length / data.rows));
    state.page = Math.min(state.page, pages - 1);
    const start = state.page * data.rows;
    const part = shown.slice(start, start + data.rows);
    body.replaceChildren(...part.map(row));
    const all = shown.length === count ? "" : ` (of ${number.format(count)})`;
    document.getElementById("shown").textContent = part.length
      ? `Targets ${number.format(start + 1)} to ${number.format(start + part.length)} of `
        + `${number.format(shown.length)}${all}`
      : "No target fits: search for something else, or choose all groups.";
    previous.disabled = state.page === 0;
    next.disabled = state.page === pages - 1;
    for (const header of headers) {
      if (header.dataset.column !== state.column) header.removeAttribute("aria-sort");
      else header.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    }
  };

  const update = () => {
    state.page = 0;
    filter();
    draw();
  };

  for (const header of headers) {
    header.querySelector("button").addEventListener("click", () => {
      const column = header.dataset.column;
      const words = column === "name" || column === "group" || column === "status";
      state.descending = state.column === column ? !state.descending : !words;
      state.column = column;
      sort();
      update();
    });
  }
  search.addEventListener("input", update);
  byStatus.addEventListener("change", update);
  if (byGroup) byGroup.addEventListener("change", update);
  const turn = (pages) => {
    state.page += pages;
    draw();
    // A button that is disabled now would lose the focus to the top of the page
    const [used, other] = pages > 0 ? [next, previous] : [previous, next];
    if (used.disabled) other.focus();
  };
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });

  document.documentElement.classList.add("has-script");
  update();
})();
