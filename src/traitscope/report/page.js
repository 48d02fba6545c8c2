"use strict";
(() => {
  const readout = document.getElementById("readout");
  const numbers = (text) => (text ? text.split(",").map(Number) : []);
  const cache = new WeakMap();

  function read(svg) {
    if (cache.has(svg)) return cache.get(svg);
    const points = [];
    for (const path of svg.querySelectorAll(".p"))
      for (const [, x, y] of path.getAttribute("d").matchAll(/M(-?\d+) (-?\d+)/g)) points.push([+x, +y]);
    const dropped = new Set(numbers(svg.dataset.dropped));
    const list = document.getElementById(svg.closest("[data-clips]").dataset.clips);
    const clips = JSON.parse(list.textContent).filter((_, i) => !dropped.has(i));
    const { ends, box, names } = svg.dataset;
    const found = { points, clips, ends: numbers(ends), box: numbers(box), names: names.split(",") };
    cache.set(svg, found);
    return found;
  }

  function show(event) {
    const svg = event.target.closest && event.target.closest("svg.hover");
    if (!svg) return void (readout.hidden = true);
    const { points, clips, ends, box, names } = read(svg);
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = -1, nearest = 900;
    points.forEach(([x, y], i) => {
      const distance = (x - at.x) ** 2 + (y - at.y) ** 2;
      if (distance < nearest) [best, nearest] = [i, distance];
    });
    readout.hidden = best < 0;
    if (best < 0) return;
    const [x, y] = points[best];
    const across = ends[0] + ((x - box[0]) / (box[2] - box[0])) * (ends[1] - ends[0]);
    const up = ends[2] + ((box[3] - y) / (box[3] - box[1])) * (ends[3] - ends[2]);
    readout.textContent = `${clips[best] || ""} · ${names[0]} ${across.toFixed(2)} · ${names[1]} ${up.toFixed(2)}`;
    readout.style.left = `${Math.min(event.clientX + 14, innerWidth - 310)}px`;
    readout.style.top = `${event.clientY + 16}px`;
  }

  document.addEventListener("pointermove", show);
  document.addEventListener("scroll", () => (readout.hidden = true), { passive: true });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));
})();
