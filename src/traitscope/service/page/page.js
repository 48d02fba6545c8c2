"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const root = document.body.dataset.root;
  const STAGES = {
    sending: "Sending the recording", waiting: "Waiting for its turn", starting: "Starting",
    decoding: "Reading pictures and looking for faces", sound: "Listening", scoring: "Scoring",
    pictures: "Taking pictures of the face",
    finished: "Done",
  };
  let request = null, news = null, job = null, file = null, address = "";

  function say(stage, share, before) {
    const shown = Math.round(100 * share);
    const line = before > 0 ? `, ${before} before it` : stage === "waiting" ? "" : `, ${shown} %`;
    at("stage").textContent = (STAGES[stage] || stage) + line;
    at("share").value = share;
  }

  function show(name) {
    for (const id of ["send", "work", "problem"]) at(id).hidden = id !== name && !(id === "send" && name === "problem");
  }

  function fail(reason) {
    stop();
    at("problem").querySelector("p").textContent = reason;
    show("problem");
    at("problem").scrollIntoView();
  }

  function stop() {
    if (news) news.close();
    if (request) request.abort();
    request = news = null;
  }

  const reason = (text, otherwise) => {
    try { return JSON.parse(text).reason || otherwise; } catch { return otherwise; }
  };

  function send(event) {
    event.preventDefault();
    if (!file && !(at("text") && at("text").value.trim())) return fail("Choose a recording first.");
    const form = new FormData();
    if (file) form.append("file", file, file.name);
    if (at("text") && at("text").value.trim()) form.append("text", at("text").value);
    for (const box of document.querySelectorAll("input[name=model]:checked")) form.append("model", box.value);
    at("result").replaceChildren();
    show("work");
    say("sending", 0, 0);
    request = new XMLHttpRequest();
    request.upload.onprogress = (e) => e.lengthComputable && say("sending", e.loaded / e.total, 0);
    request.onerror = () => fail("The server cannot be reached. Is it still running?");
    request.onload = () => {
      const { status, responseText } = request;
      request = null;
      if (status !== 202 && status !== 200) return fail(reason(responseText, `The server answered ${status}.`));
      job = JSON.parse(responseText);
      follow(job.links.events, job.links.page);
    };
    request.open("POST", `${root}/v1/predictions`);
    request.send(form);
  }

  function follow(events, page) {
    news = new EventSource(events);
    const read = (event) => {
      const { progress } = JSON.parse(event.data);
      say(progress.stage, progress.share, progress.before);
    };
    const end = (event) => { read(event); stop(); finish(page); };
    news.addEventListener("progress", read);
    news.addEventListener("done", end);
    news.addEventListener("failed", end);
    news.onerror = () => { if (news && news.readyState === EventSource.CLOSED) fail("The connection was lost. Send the recording again."); };
  }

  async function finish(page) {
    const answer = await fetch(`${page}/part`).catch(() => null);
    if (!answer || !answer.ok) return fail("The answer cannot be fetched any more. Send the recording again.");
    at("result").innerHTML = await answer.text();
    if (at("send")) show("send");
    if (file) {
      URL.revokeObjectURL(address);
      address = URL.createObjectURL(file);
      at("player").src = address;
      at("playing").hidden = false;
    }
    wire();
    at("result").focus({ preventScroll: true });
    at("playing").hidden ? at("result").scrollIntoView() : at("playing").scrollIntoView();
  }

  // -- the timeline and the player -----------------------------------------------------------------

  function wire() {
    const player = at("player");
    for (const part of document.querySelectorAll(".timeline")) {
      const seconds = Number(part.dataset.seconds), slider = part.querySelector("input");
      const cursor = part.querySelector(".cursor"), tracks = part.querySelector(".tracks");
      const place = (time) => {
        const svg = part.querySelector("svg"), left = svg.getBoundingClientRect().left - tracks.getBoundingClientRect().left;
        cursor.hidden = false;
        cursor.style.left = `${left + (time / seconds) * svg.getBoundingClientRect().width}px`;
        slider.value = time;
        part.querySelector("output").textContent = `${time.toFixed(1)} s`;
      };
      const seek = (time) => { if (player.src) player.currentTime = time; place(time); };
      for (const svg of part.querySelectorAll("svg")) svg.addEventListener("click", (event) => {
        const box = svg.getBoundingClientRect();
        seek(((event.clientX - box.left) / box.width) * seconds);
      });
      slider.addEventListener("input", () => seek(Number(slider.value)));
      player.addEventListener("timeupdate", () => place(Math.min(player.currentTime, seconds)));
    }
  }

  // -- choosing and recording ----------------------------------------------------------------------

  function choose(chosen) {
    file = chosen;
    const mib = file.size / 2 ** 20;
    at("chosen").textContent = `${file.name}, ${mib < 1 ? `${Math.ceil(file.size / 1024)} kB` : `${mib.toFixed(1)} MiB`}`;
    at("file").required = false;
  }

  function dropping() {
    const drop = at("drop");
    for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (e) => { e.preventDefault(); drop.classList.add("over"); });
    for (const name of ["dragleave", "drop"]) drop.addEventListener(name, (e) => { e.preventDefault(); drop.classList.remove("over"); });
    drop.addEventListener("drop", (event) => event.dataTransfer.files[0] && choose(event.dataTransfer.files[0]));
    at("file").addEventListener("change", () => at("file").files[0] && choose(at("file").files[0]));
    if (at("text")) at("file").required = false;
  }

  function camera() {
    if (!navigator.mediaDevices || !window.MediaRecorder) return;
    let stream = null, recorder = null, timer = 0;
    at("camera").hidden = false;
    const close = () => {
      if (stream) for (const track of stream.getTracks()) track.stop();
      stream = null;
      at("studio").hidden = true;
      at("open").hidden = false;
    };
    at("open").addEventListener("click", async () => {
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
      } catch (error) {
        return fail(`The camera cannot be used (${error.name}). Allow it in the browser, or choose a file.`);
      }
      at("preview").srcObject = stream;
      at("preview").play();
      at("studio").hidden = false;
      at("open").hidden = true;
      at("record").focus();
    });
    at("close").addEventListener("click", close);
    at("record").addEventListener("click", () => {
      if (recorder) return void recorder.stop();
      const pieces = [], begun = Date.now();
      recorder = new MediaRecorder(stream);
      recorder.ondataavailable = (event) => pieces.push(event.data);
      recorder.onstop = () => {
        clearInterval(timer);
        const kind = recorder.mimeType || "video/webm";
        recorder = null;
        at("record").textContent = "Start recording";
        at("clock").textContent = "";
        choose(new File(pieces, kind.includes("mp4") ? "recording.mp4" : "recording.webm", { type: kind }));
        close();
      };
      recorder.start(1000);
      at("record").textContent = "Stop recording";
      timer = setInterval(() => (at("clock").textContent = `${Math.round((Date.now() - begun) / 1000)} s`), 500);
    });
  }

  if (at("send")) {
    at("send").addEventListener("submit", send);
    at("cancel").addEventListener("click", () => {
      if (job) fetch(job.links.self, { method: "DELETE" }).catch(() => {});
      stop();
      job = null;
      show("send");
    });
    dropping();
    camera();
  } else if (document.body.dataset.job) {
    const waiting = new EventSource(`${root}/v1/predictions/${document.body.dataset.job}/events`);
    for (const name of ["done", "failed"]) waiting.addEventListener(name, () => { waiting.close(); location.reload(); });
  } else wire();
})();
