"use strict";
// The theme: as the system has it, as the address asks (#dark, #light), or as the button says.
const root = document.documentElement;
const asked = location.hash.slice(1);
if (asked === "dark" || asked === "light") root.dataset.theme = asked;
document.getElementById("theme").addEventListener("click", () => {
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
});

// Line charts: a hair and a tip at the value under the pointer, or moved by the arrow keys.
const tip = document.getElementById("tip");
for (const chart of document.querySelectorAll("svg[data-tips]")) {
  const tips = JSON.parse(chart.dataset.tips);
  const holder = chart.closest("[data-steps]");
  const steps = holder ? JSON.parse(holder.dataset.steps) : [];
  const hair = chart.querySelector(".hair");
  const spot = chart.querySelector(".spot");
  let at = tips.x.length - 1;
  const show = (index) => {
    at = Math.max(0, Math.min(tips.x.length - 1, index));
    hair.setAttribute("x1", tips.x[at]);
    hair.setAttribute("x2", tips.x[at]);
    spot.setAttribute("cx", tips.x[at]);
    spot.setAttribute("cy", tips.y[at]);
    chart.classList.add("live");
    const value = document.createElement("b");
    value.textContent = tips.v[at];
    tip.replaceChildren(value, document.createTextNode(steps[at] || ""));
    tip.hidden = false;
    const box = chart.getBoundingClientRect();
    const scale = box.width / chart.viewBox.baseVal.width;
    const x = box.left + tips.x[at] * scale;
    const y = box.top + tips.y[at] * scale;
    const left = x + 14 + tip.offsetWidth > innerWidth ? x - 14 - tip.offsetWidth : x + 14;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, y - tip.offsetHeight - 10)}px`;
  };
  const hide = () => {
    chart.classList.remove("live");
    tip.hidden = true;
  };
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const x = ((event.clientX - box.left) * chart.viewBox.baseVal.width) / box.width;
    let low = 0;
    let high = tips.x.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tips.x[middle] < x) low = middle + 1;
      else high = middle;
    }
    if (low > 0 && x - tips.x[low - 1] < tips.x[low] - x) low -= 1;
    show(low);
  });
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("focus", () => show(at));
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    show(at + by);
  });
}
