"""The Containerfile: what its steps copy is there, nothing runs as root, PyPI is the one source."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Containerfile").read_text()
STEPS = re.sub(r"\\\n", " ", TEXT).splitlines()


def steps(word: str) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in STEPS if line.startswith(f"{word} ")]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    allowed = set((ROOT / ".dockerignore").read_text().split())
    for line in steps("COPY"):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in allowed


def test_it_runs_without_rights_and_is_asked_for_its_health() -> None:
    assert int(steps("USER")[-1]) > 0
    assert "/v1/ready" in TEXT
    assert STEPS.index("USER 10001") > max(i for i, line in enumerate(STEPS) if "pip" in line)


def test_packages_come_from_the_usual_index_with_fixed_versions() -> None:
    (install,) = [line for line in steps("RUN") if "pip install" in line]
    assert "--constraint constraints.txt" in install
    # Any other option could name a place of its own to take packages from.
    assert set(re.findall(r"--[\w-]+", install)) == {"--no-cache-dir", "--constraint"}
    assert "://" not in install


def test_system_libraries_are_those_of_make_install() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (libraries,) = re.findall(r"^LIBRARIES := (.*)$", makefile, re.MULTILINE)
    (install,) = [line for line in steps("RUN") if "apt-get install" in line]
    assert libraries in install


@pytest.mark.slow
def test_what_is_installed_has_the_page(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run(
        [*build, "--wheel-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    if "setuptools" in done.stderr and done.returncode:
        pytest.skip("setuptools is not installed, and nothing may be fetched here")
    assert done.returncode == 0, done.stderr
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    for name in ("page.html", "macros.html", "part.html", "page.css", "page.js"):
        assert f"traitscope/service/page/{name}" in names
