// What the page does beyond being read: choosing contenders, sorting and filtering tables,
// keeping them as CSV, copying commands, reading values off charts. It loads and sends nothing.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const status = document.body.appendChild(make("p", { className: "unseen" }));
  status.setAttribute("role", "status");

  // Contenders: one set of hidden ones for all charts and tables.
  const hidden = new Set();
  const players = document.querySelector(".players");
  const toggles = players ? all("button", players) : [];
  const keys = (button) => button.dataset.toggle.split(" ");
  function toggle(wanted) {
    const show = wanted.every((key) => hidden.has(key));
    for (const key of wanted) show ? hidden.delete(key) : hidden.add(key);
    for (const mark of all("svg [data-who]")) {
      mark.classList.toggle("off", hidden.has(mark.dataset.who));
    }
    for (const row of all("tbody tr")) {
      const whose = all("[data-who]", row);
      row.classList.toggle("off", whose.some((cell) => hidden.has(cell.dataset.who)));
    }
    for (const button of toggles) {
      button.setAttribute("aria-pressed", !keys(button).every((key) => hidden.has(key)));
    }
  }
  if (players) players.hidden = false;
  for (const button of toggles) button.addEventListener("click", () => toggle(keys(button)));
  for (const entry of all("svg [data-legend]")) {
    const framework = entry.dataset.who.split("-")[0] + "-";
    const whole = toggles.map(keys).find((each) => each[0].startsWith(framework));
    entry.addEventListener("click", () => toggle(whole || [entry.dataset.who]));
  }

  // Tables.
  function sortValue(cell) {
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    const number = /^[<+-]?\s*\d[\d,]*(\.\d+)?(e-?\d+)?/.exec(text);
    if (cell.classList.contains("number")) {
      return number ? Number(number[0].replace(/[<+,\s]/g, "")) : -Infinity;
    }
    return text.toLowerCase();
  }
  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    rows.forEach((row, index) => (row.dataset.place ??= index));
    const value = direction === "none" ? (row) => Number(row.dataset.place)
      : (row) => sortValue(row.cells[column]);
    const sign = direction === "descending" ? -1 : 1;
    const keyed = rows.map((row) => [value(row), row]);
    keyed.sort(([a], [b]) => sign * (a < b ? -1 : a > b ? 1 : 0));
    body.append(...keyed.map(([, row]) => row));
    all("thead th", table).forEach((head, index) => {
      head.setAttribute("aria-sort", index === column ? direction : "none");
    });
  }
  function csv(table) {
    const heads = all("thead th", table);
    // What a spreadsheet would compute, and is no number, begins with an apostrophe.
    const number = /^[+-]?[\d.,]+(e[+-]?\d+)?\s*%?$/;
    const inert = (text) => (/^\s*[=+\-@]/.test(text) && !number.test(text) ? `'${text}` : text);
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const names = heads.map((head) => {
      const unit = all("tbody tr", table)
        .map((row) => row.cells[head.cellIndex]?.dataset.unit).find(Boolean);
      return head.textContent.trim() + (unit ? ` (${unit})` : "");
    });
    const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) =>
      [...row.cells].map((cell) => cell.dataset.value ?? contents(cell)));
    return [names, ...rows].map((row) => row.map(inert).map(quoted).join(",")).join("\r\n") + "\r\n";
  }
  const contents = (cell) => (cell.querySelector("code") || cell).textContent.trim();
  function save(name, text) {
    const href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    make("a", { href, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10000);
  }
  for (const table of all("table")) {
    const title = table.caption.textContent.trim();
    const rows = [...table.tBodies[0].rows];
    table.setAttribute("aria-label", title);
    const tools = make("span", { className: "tools" });
    if (rows.length > 8) {
      const field = make("input", { type: "search", placeholder: "Filter rows" });
      field.setAttribute("aria-label", `Filter rows: ${title}`);
      field.addEventListener("input", () => {
        const words = field.value.toLowerCase().split(/\s+/);
        for (const row of rows) {
          const text = row.textContent.toLowerCase();
          row.hidden = !words.every((word) => text.includes(word));
        }
        const left = rows.filter((row) => !row.hidden).length;
        status.textContent = `${left} of ${rows.length} rows shown`;
      });
      tools.append(field);
    }
    const file = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "table";
    const keep = make("button", { type: "button", textContent: "CSV" });
    keep.setAttribute("aria-label", `CSV of ${title}`);
    keep.addEventListener("click", () => save(`${file.slice(0, 60)}.csv`, csv(table)));
    tools.append(keep);
    table.caption.firstElementChild.append(tools);
    if (rows.length < 2) continue;
    for (const head of all("thead th", table)) {
      const button = make("button", { type: "button" }, ...head.childNodes);
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const next = { none: "ascending", ascending: "descending", descending: "none" };
        sort(table, head.cellIndex, next[head.getAttribute("aria-sort")]);
      });
    }
  }

  // Commands.
  async function copy(source, button) {
    const text = source.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    status.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }
  for (const source of all("pre > code, td > code")) {
    const button = make("button", { type: "button", className: "copy", textContent: "Copy" });
    button.setAttribute("aria-label", `Copy: ${source.textContent.trim().slice(0, 60)}`);
    button.addEventListener("click", () => copy(source, button));
    source.parentElement.prepend(button);
  }

  // Charts: every drawn point is a spot that can be asked for its values.
  const shown = (value) => Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));
  function between(scale, low, high, share) {
    if (scale === "log") return low * (high / low) ** share;
    const value = low + (high - low) * share;
    return Math.abs(value) < Math.abs(high - low) * 1e-6 ? 0 : value;  // drawn to 6 digits
  }
  function spotsOf(svg) {
    const spots = [];
    const boxes = new Map();
    for (const panel of all("[data-panel]", svg)) boxes.set(panel.parentNode, panel);
    for (const line of all("[data-label]", svg)) {
      const panel = boxes.get(line.parentNode);
      const path = line.querySelector("path")?.getAttribute("d");
      if (!panel || !path) continue;
      const [left, right, bottom, top] = panel.dataset.panel.split(" ").map(Number);
      const [scaleX, scaleY] = panel.dataset.scales.split(" ");
      const box = panel.getBBox();
      for (const [, ...place] of path.matchAll(/[ML]\s*(-?[\d.]+)\s+(-?[\d.]+)/g)) {
        const [x, y] = place.map(Number);
        const text = () => {
          const across = between(scaleX, left, right, (x - box.x) / box.width);
          const up = between(scaleY, bottom, top, (box.y + box.height - y) / box.height);
          const { x: nameX, y: nameY } = panel.dataset;
          return `${line.dataset.label}: ${nameY} ${shown(up)}, ${nameX} ${shown(across)}`;
        };
        spots.push({ x, y, text, track: line, mark: line });
      }
    }
    const told = new Set();
    for (const mark of all("[data-text]", svg)) {
      const words = mark.dataset.text;
      if (told.has(words)) continue;
      told.add(words);
      const box = mark.getBBox();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      spots.push({ x, y, text: () => words, track: svg, mark });
    }
    return spots;
  }
  const visible = (spot) => !spot.mark.classList.contains("off");
  for (const svg of all("figure svg")) {
    if (!svg.querySelector("[data-label], [data-text]")) continue;
    const plot = svg.parentElement;
    const tip = plot.appendChild(make("p", { className: "tip", hidden: true }));
    const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    ring.setAttribute("class", "ring");
    ring.setAttribute("r", 5);
    plot.tabIndex = 0;
    plot.setAttribute("role", "application");
    const caption = plot.closest("figure").querySelector("figcaption").textContent.trim();
    plot.setAttribute("aria-label", `Chart: ${caption} Arrow keys read its values.`);
    let spots, chosen;
    const known = () => (spots ??= spotsOf(svg));
    function choose(spot, spoken) {
      chosen = spot;
      tip.hidden = !spot;
      if (!spot) return ring.remove();
      ring.setAttribute("cx", spot.x);
      ring.setAttribute("cy", spot.y);
      svg.append(ring);
      // Curves that coincide all have their say.
      const here = known().filter((each) =>
        visible(each) && Math.hypot(each.x - spot.x, each.y - spot.y) < 1.5);
      const words = here.slice(0, 5).map((each) => each.text());
      tip.textContent = [...new Set([spot.text(), ...words])].join("\n");
      if (spoken) status.textContent = tip.textContent;
      const frame = plot.getBoundingClientRect();
      const place = ring.getBoundingClientRect();
      const left = place.left - frame.left + 14;
      tip.style.left = `${Math.max(0, Math.min(left, frame.width - tip.offsetWidth))}px`;
      tip.style.top = `${place.top - frame.top - tip.offsetHeight - 4}px`;
    }
    function nearest(candidates, x, y) {
      let [best, least] = [undefined, Infinity];
      for (const spot of candidates) {
        const distance = Math.hypot(spot.x - x, spot.y - y);
        if (distance < least) [best, least] = [spot, distance];
      }
      return [best, least];
    }
    svg.addEventListener("pointermove", (event) => {
      const told = event.target.closest("[data-text]");
      const at = new DOMPoint(event.clientX, event.clientY)
        .matrixTransform(svg.getScreenCTM().inverse());
      const words = told?.dataset.text;
      const own = words && known().find((spot) => spot.mark.dataset.text === words);
      const [spot, distance] = nearest(known().filter(visible), at.x, at.y);
      choose(own || (distance < 18 ? spot : undefined));
    });
    svg.addEventListener("pointerleave", () => choose());
    plot.addEventListener("blur", () => choose());
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") choose();
      if (!step) return;
      event.preventDefault();
      const ready = known().filter(visible);
      const tracks = [...new Set(ready.map((spot) => spot.track))];
      const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
      if (!chosen || sideways || tracks.length < 2) {
        const own = chosen ? ready.filter((spot) => spot.track === chosen.track) : ready;
        const index = chosen ? own.indexOf(chosen) + step : step > 0 ? 0 : own.length - 1;
        return choose(own[(index + own.length) % own.length], true);
      }
      const next = tracks[(tracks.indexOf(chosen.track) + step + tracks.length) % tracks.length];
      const own = ready.filter((spot) => spot.track === next);
      choose(nearest(own, chosen.x, chosen.y)[0], true);
    });
  }
})();
