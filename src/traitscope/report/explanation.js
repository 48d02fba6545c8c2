"use strict";
(() => {
  // All by events of the document: a server's page gets its evidence after this script has run.
  const videoOf = (watch) => watch.querySelector("video") || document.getElementById("player");
  const secondsOf = (watch) => Number(watch.dataset.seconds) || 1;

  function follow(watch, second) {
    const at = (1000 * Math.min(second, secondsOf(watch))) / secondsOf(watch);
    for (const line of watch.querySelectorAll(".strip .now")) line.setAttribute("transform", `translate(${at.toFixed(1)} 0)`);
  }

  function seek(watch, second) {
    const video = videoOf(watch);
    if (video) video.currentTime = Math.min(second, video.duration || second);
    follow(watch, second);
  }

  document.addEventListener("click", (event) => {
    const watch = event.target.closest(".evidence .watch");
    if (!watch) return;
    const strip = event.target.closest(".strip"), button = event.target.closest("[data-seek]");
    if (strip) {
      const box = strip.getBoundingClientRect();
      seek(watch, (secondsOf(watch) * (event.clientX - box.left)) / box.width);
    }
    if (button) seek(watch, Number(button.dataset.seek));
  });
  // Media tell of their time without bubbling; on their way down they pass here all the same.
  for (const name of ["timeupdate", "seeked", "play"]) document.addEventListener(name, (event) => {
    for (const watch of document.querySelectorAll(".evidence .watch")) if (videoOf(watch) === event.target) follow(watch, event.target.currentTime);
  }, true);
})();
