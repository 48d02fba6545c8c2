"use strict";
(() => {
  const watch = document.querySelector(".evidence .watch");
  const video = watch && watch.querySelector("video");
  if (!watch) return;
  const seconds = Number(watch.dataset.seconds) || 1;
  const lines = watch.querySelectorAll(".strip .now");

  function follow() {
    const at = (1000 * Math.min(video.currentTime, seconds)) / seconds;
    for (const line of lines) line.setAttribute("transform", `translate(${at.toFixed(1)} 0)`);
  }
  function seek(second) {
    if (!video) return;
    video.currentTime = Math.min(second, video.duration || second);
    follow();
  }

  watch.addEventListener("click", (event) => {
    const strip = event.target.closest(".strip");
    if (strip) {
      const box = strip.getBoundingClientRect();
      seek((seconds * (event.clientX - box.left)) / box.width);
    }
    const button = event.target.closest("[data-seek]");
    if (button) seek(Number(button.dataset.seek));
  });
  if (video) for (const name of ["timeupdate", "seeked", "play"]) video.addEventListener(name, follow);
})();
