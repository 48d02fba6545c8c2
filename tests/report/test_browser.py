"""The page in a real browser with the network off: no request but file:, nothing too wide."""

import json
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from tests.report.sample import make_audits, make_history, make_report, read
from traitscope.audit.findings import from_json
from traitscope.report import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
PROBE = """
document.querySelectorAll("details").forEach((d) => (d.open = true));
const svg = document.querySelector("svg.hover"), box = svg.getBoundingClientRect();
for (let x = 0; x < box.width; x += 2) for (let y = 0; y < box.height; y += 4)
  if (document.getElementById("readout").hidden) svg.dispatchEvent(new PointerEvent("pointermove",
    { bubbles: true, clientX: box.left + x, clientY: box.top + y }));
const table = document.querySelector(".pane").parentElement;
table.querySelectorAll("input")[2].click();
document.title = JSON.stringify({
  requests: performance.getEntriesByType("resource").map((entry) => entry.name),
  ran: document.body.hasAttribute("data-ran"),
  wide: document.documentElement.scrollWidth, view: innerWidth,
  readout: document.getElementById("readout").textContent,
  panes: [...table.querySelectorAll(".pane")].map((p) => getComputedStyle(p).display),
});
"""


@pytest.fixture
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return found


def probed(page: Path) -> None:
    """Let the page's own policy allow the probe; an unlisted script beside it must not run."""
    digest = b64encode(sha256(PROBE.encode()).digest()).decode()
    text = page.read_text(encoding="utf-8").replace("script-src ", f"script-src 'sha256-{digest}' ")
    foreign = "<script>document.body.setAttribute('data-ran', '')</script>"
    page.write_text(text.replace("</body>", f"{foreign}<script>{PROBE}</script></body>"))


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_works_in_a_browser(browser: str, tmp_path: Path, width: int) -> None:
    reports = [make_report("runs/a"), make_report("runs/with_a_rather_long_name/of_it", seed=1)]
    reports[0]["failures"][0]["reason"] = "very/long/path/without/a/space/" * 8
    audits = [from_json(tree, where="the sample") for tree in make_audits()]
    beside = {"histories": {"runs/a": make_history()}, "audits": {"runs/a": audits}}
    page = write_report([read(report) for report in reports], tmp_path / "page.html", **beside)
    probed(page)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    size = f"--window-size={width},900"
    command = [browser, *FLAGS, profile, size, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title
    seen = json.loads(title[1])
    assert seen["requests"] == []
    assert not seen["ran"]
    assert seen["wide"] <= seen["view"]
    assert re.match(r"clip\d{5}\.\d{3} · true [\d.]+ · predicted [\d.]+", seen["readout"])
    assert [i for i, shown in enumerate(seen["panes"]) if shown != "none"] == [2]
