"use strict";
// The page is whole without this script: all crashes, the most frequent bug first. It adds filters and sorting.
const [kernels, hosts, bugs] = JSON.parse(document.getElementById("data").textContent);
const body = document.querySelector(".bugs tbody");
const rows = [...body.rows];
const lanes = [...document.querySelectorAll(".lane")];
const most = Number(document.querySelector(".timeline")?.dataset.most);
const chosen = { kernel: document.getElementById("kernel"), host: document.getElementById("host") };
for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;

function filter() {
  const kernel = chosen.kernel.value === "" ? null : Number(chosen.kernel.value);
  const host = chosen.host.value === "" ? null : Number(chosen.host.value);
  const bars = lanes.map(() => new Map());
  let shown = 0, all = 0;
  for (const row of rows) {
    const number = Number(row.dataset.bug);
    const left = bugs[number].filter(([k, h]) => (kernel === null || k === kernel) && (host === null || h === host));
    const lane = bars[Math.min(number, lanes.length - 1)];
    if (lane) for (const [, , bin] of left) if (bin !== null) lane.set(bin, (lane.get(bin) || 0) + 1);
    const times = left.map((one) => one[3]).filter(Boolean).sort();
    row.hidden = left.length === 0;
    row.querySelector(".count").textContent = left.length;
    row.querySelector(".first").textContent = times[0] || "";
    row.querySelector(".last").textContent = times[times.length - 1] || "";
    row.querySelector(".hosts").textContent = new Set(left.map((one) => one[1])).size;
    row.querySelector(".kernels").textContent = new Set(left.map((one) => one[0])).size;
    shown += left.length;
    all += bugs[number].length;
  }
  lanes.forEach((lane, number) => {
    for (const bar of lane.querySelectorAll("rect")) {
      const count = bars[number].get(Number(bar.dataset.bin)) || 0;
      const height = count ? 24 * Math.max(Math.sqrt(count / most), 0.25) : 0;
      bar.setAttribute("height", height);
      bar.setAttribute("y", 24 - height);
    }
  });
  document.getElementById("shown").textContent = shown === all ? "" : `${shown} of ${all} crashes`;
  document.getElementById("none").hidden = shown > 0;
}
chosen.kernel.addEventListener("change", filter);
chosen.host.addEventListener("change", filter);

const value = (row, key) => {
  if (key === "count") return Number(row.querySelector(".count").textContent);
  return row.querySelector(key === "title" ? ".bug" : `.${key}`).textContent;
};
for (const button of document.querySelectorAll("button.sort")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const key = button.dataset.key;
    const down = head.getAttribute("aria-sort") === "none" ? key !== "title" : head.getAttribute("aria-sort") === "ascending";
    for (const one of document.querySelectorAll("th[aria-sort]")) one.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = down ? -1 : 1;
    rows.sort((a, b) => {
      const x = value(a, key), y = value(b, key);
      return (x < y ? -1 : x > y ? 1 : 0) * order || Number(a.dataset.bug) - Number(b.dataset.bug);
    });
    body.append(...rows);
  });
}
