"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const root = document.body.dataset.root;
  const STAGES = {
    sending: "Sending the recording", waiting: "Waiting for its turn", starting: "Starting",
    decoding: "Reading pictures and looking for faces", sound: "Listening", scoring: "Scoring",
    pictures: "Taking pictures of the face", explaining: "Asking the model what its scores rest on",
    finished: "Done",
  };
  let request = null, news = null, job = null, file = null, address = "";

  function say(stage, share, before, line = at("stage"), bar = at("share")) {
    const shown = Math.round(100 * share);
    const more = before > 0 ? `, ${before} before it` : stage === "waiting" ? "" : `, ${shown}\u00a0%`;
    line.textContent = (STAGES[stage] || stage) + more;
    bar.value = share;
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

  function listen(events, read, end, lost) {
    const source = new EventSource(events);
    const told = (event) => { const { progress } = JSON.parse(event.data); read(progress.stage, progress.share, progress.before); };
    source.addEventListener("progress", told);
    for (const name of ["done", "failed"]) source.addEventListener(name, (event) => { told(event); source.close(); end(); });
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) lost(); };
    return source;
  }

  function follow(events, page) {
    const lost = () => news && fail("The connection was lost. Send the recording again.");
    news = listen(events, say, () => { stop(); finish(page); }, lost);
  }

  async function finish(page) {
    const answer = await fetch(`${page}/part`).catch(() => null);
    if (!answer || !answer.ok) return fail("The answer cannot be fetched any more. Send the recording again.");
    at("result").before(at("playing")); // else it would go with the answer of before
    at("result").innerHTML = await answer.text();
    if (at("send")) show("send");
    if (file) play();
    wire();
    at("result").focus({ preventScroll: true });
    (at("result").contains(at("playing")) || at("playing").hidden ? at("result") : at("playing")).scrollIntoView();
  }

  // -- the player ------------------------------------------------------------------------------------

  function play() {
    URL.revokeObjectURL(address);
    address = URL.createObjectURL(file);
    at("player").src = address;
    at("playing").hidden = false;
    const line = document.querySelector(".timeline");
    if (line) line.before(at("playing"));
  }

  // A moment that is asked for elsewhere on the page is shown in a corner, until its place is seen.
  function corner() {
    let seen = true;
    new IntersectionObserver(([place]) => {
      seen = place.isIntersecting;
      if (seen) at("playing").classList.remove("afar");
    }).observe(at("playing"));
    at("player").addEventListener("seeking", () => at("playing").classList.toggle("afar", !seen));
  }

  // -- the timeline and the player -----------------------------------------------------------------

  function wire() {
    const player = at("player");
    for (const part of document.querySelectorAll(".why")) asking(part);
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

  // -- why ------------------------------------------------------------------------------------------

  function asking(part) {
    const [form, line, bar, bad, because] = ["form", ".stage", "progress", ".failed", ".because"].map((name) => part.querySelector(name));
    const once = part.querySelector(".once"), again = once.querySelector("input"), end = part.querySelector(".stop"), main = part.querySelector("[type=submit]");
    let gone = !once.hidden, asked = null, source = null;
    // The recording is still here, in the page that sent it.
    const settle = () => { once.hidden = !gone || Boolean(file); again.required = !once.hidden; again.disabled = once.hidden; };
    const busy = (on) => { for (const one of [line, bar, end]) one.hidden = !on; main.disabled = on; };
    const refuse = (text) => { busy(false); bad.textContent = text; bad.hidden = false; };

    const show = async (page) => {
      const answer = await fetch(`${page}/part`).catch(() => null);
      if (!answer || !answer.ok) return refuse("The explanation cannot be fetched any more. Ask again.");
      busy(false);
      form.hidden = true;
      because.innerHTML = await answer.text();
      because.focus({ preventScroll: true });
      because.scrollIntoView();
    };

    async function ask(event) {
      if (event) event.preventDefault();
      const recording = file || again.files[0];
      const body = gone && recording ? new FormData() : undefined;
      if (body) body.append("file", recording, recording.name);
      bad.hidden = true;
      busy(true);
      say("sending", 0, 0, line, bar);
      const answer = await fetch(form.dataset.ask, { method: "POST", body }).catch(() => null);
      if (!answer) return refuse("The server cannot be reached. Is it still running?");
      const text = await answer.text();
      if (answer.status === 410 && !gone) { // it went since this page was made
        gone = true;
        settle();
        if (file) return ask();
      }
      if (answer.status !== 202) return refuse(reason(text, `The server answered ${answer.status}.`));
      asked = JSON.parse(text);
      const read = (stage, share, before) => say(stage, share, before, line, bar);
      source = listen(asked.links.events, read, () => show(asked.links.page), () => refuse("The connection was lost. Ask again."));
    }

    form.addEventListener("submit", ask);
    end.addEventListener("click", () => {
      if (source) source.close();
      if (asked) fetch(asked.links.self, { method: "DELETE" }).catch(() => {});
      busy(false);
    });
    settle();
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
      const size = () => pieces.reduce((sum, piece) => sum + piece.size, 0);
      recorder = new MediaRecorder(stream);
      recorder.ondataavailable = (event) => pieces.push(event.data);
      recorder.onstop = () => {
        clearInterval(timer);
        const kind = recorder.mimeType || "video/webm";
        recorder = null;
        at("record").textContent = "Start recording";
        at("clock").textContent = size() ? "" : "Nothing was recorded yet: let it run a little longer.";
        if (!size()) return;
        choose(new File(pieces, kind.includes("mp4") ? "recording.mp4" : "recording.webm", { type: kind }));
        close();
      };
      recorder.start(1000);
      at("record").textContent = "Stop recording";
      timer = setInterval(() => (at("clock").textContent = `${Math.round((Date.now() - begun) / 1000)} s, ${Math.ceil(size() / 1024)} kB`), 500);
    });
  }

  if (at("send")) {
    corner();
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
