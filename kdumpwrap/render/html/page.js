"use strict";
// The page is complete without this script. It adds buttons to unfold and filter, and highlighting.
const all = (what) => document.querySelectorAll(what);

for (const tools of all(".tools")) tools.hidden = false;

function toggle(id, act) {
  const button = document.getElementById(id);
  if (!button) return;
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    act(on);
  });
}
toggle("unfold", (on) => {
  for (const one of all("#trace details")) one.open = on;
});
toggle("unfold-vmcore", (on) => {
  for (const one of all("#vmcore .frame > details")) one.open = on;
});
toggle("unsure", (on) => document.getElementById("trace").classList.toggle("sure-only", on));
toggle("bytes", (on) => document.getElementById("code").classList.toggle("with-bytes", on));

// a source line and its instructions are highlighted together
const code = document.querySelector(".code");
function tie(event) {
  const line = event.target.closest ? event.target.closest("[data-n]") : null;
  for (const one of code.querySelectorAll(".hot")) one.classList.remove("hot");
  if (line) for (const one of code.querySelectorAll(`[data-n="${Number(line.dataset.n)}"]`)) one.classList.add("hot");
}
if (code) {
  code.addEventListener("pointerover", tie);
  code.addEventListener("pointerleave", tie);
}

// paper cannot be unfolded: everything is opened before printing
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...all("details:not([open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
});
