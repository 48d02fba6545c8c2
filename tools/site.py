"""Build the documentation site: pages of docs/ and the reference from the code, into site/.

    python tools/site.py [--to FOLDER]

The site works from a file:// address and asks nothing of anybody: whatever the generator's theme
would fetch is taken out, and the build fails if something is left.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIM = re.compile(r'<script src="https://unpkg\.com/iframe-worker/shim"[^>]*></script>')
"""What the theme's search asks for where pages are opened as files."""
ASKED = re.compile(r'<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)="https?://[^"]+"[^>]*>')
"""What a page would fetch by itself; a link that a person clicks is none of it."""
_HARMLESS = ('rel="canonical"', 'rel="next"', 'rel="prev"')
WORKER = """\
// Browsers start no worker from a file; one whose text the page already has, they do.
if (location.protocol === "file:") {
  const Plain = window.Worker;
  const text = %s;
  window.Worker = class extends Plain {
    constructor(address, options) {
      super(URL.createObjectURL(new Blob([text], { type: "text/javascript" })), options);
    }
  };
}
"""


def main() -> None:
    """Build the site, or end with what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=ROOT / "site")
    to = parser.parse_args().to
    with tempfile.TemporaryDirectory() as scratch:
        build(Path(scratch), to)
    print(f"built {to / 'index.html'}")


def build(scratch: Path, to: Path) -> Path:
    """Build in a folder, then move the site to its place.

    Raises:
        SystemExit: the generator warned of something, or a page would ask somebody else.
    """
    from tools.reference import write_reference

    shutil.copytree(ROOT / "docs", scratch / "docs")
    write_reference(scratch / "docs" / "reference")
    shutil.copy(ROOT / "mkdocs.yml", scratch / "mkdocs.yml")
    # Hosts look for it beside the README; readers look for it here.
    shutil.copy(ROOT / "SECURITY.md", scratch / "docs" / "security.md")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", "mkdocs.yml"]
    plain = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, env=plain)
    if done.returncode:
        raise SystemExit(f"The site was not built:\n{done.stdout}{done.stderr}")
    site = scratch / "site"
    make_offline(site)
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(site, to)
    return to


def make_offline(site: Path) -> None:
    """Take out what a page would ask of others, and let the search work in a file.

    Raises:
        SystemExit: a page would still ask somebody else.
    """
    scripts = site / "assets" / "javascripts"
    (worker,) = (scripts / "workers").glob("search.*.min.js")
    text = json.dumps(worker.read_text(encoding="utf-8"))
    # A script in a page ends at this word, wherever it stands.
    (scripts / "offline.js").write_text(WORKER % text.replace("</", "<\\/"), encoding="utf-8")
    for page in site.rglob("*.html"):
        up = "../" * (len(page.relative_to(site).parts) - 1)
        here = f'<script src="{up}assets/javascripts/offline.js"></script>'
        # As a function: backslashes of the replacement would be read as marks.
        html = SHIM.sub(lambda _, here=here: here, page.read_text(encoding="utf-8"))
        page.write_text(html, encoding="utf-8")
        left = [tag for tag in ASKED.findall(html) if not any(h in tag for h in _HARMLESS)]
        if left:
            raise SystemExit(f"{page.relative_to(site)} would ask others: {left[0]}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
