"""The page in a real browser: a person's way from a file to five numbers, and to a reason."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.test_application import until
from tests.support.media_files import tone, write_sound
from tests.support.served import train_watcher
from tests.support.serving import Served, serving
from traitscope.corpora.synthetic import Config, generate
from traitscope.prediction.clips import predict
from traitscope.types import Prediction

sync_api = pytest.importorskip("playwright.sync_api", reason="the extra [browser] is not installed")
pytestmark = pytest.mark.slow
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_watcher(tmp_path_factory.mktemp("watcher"))


@pytest.fixture(scope="module")
def served(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    other = tmp_path_factory.mktemp("copy") / "second"
    shutil.copytree(run, other)
    with serving(run, other, folder=tmp_path_factory.mktemp("served") / "uploads") as one:
        yield one


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who talks: a real clip where there is one, else a drawn one."""
    if (SHARED / "talking_30s.mp4").is_file():
        return SHARED / "talking_30s.mp4"
    folder = tmp_path_factory.mktemp("drawn")
    # Twice as long as the run's own clips, so that it has a timeline.
    one = {"sources_per_subject": 1, "clips_per_source": 1}
    generate(folder, config=Config(subjects=4, **one, seconds=8.0, fps=10, size=256))
    return next(folder.rglob("*.mp4"))


@pytest.fixture(scope="module")
def brief(talking: Path) -> Path:
    """A face for a moment: for what is not about the numbers."""
    path = SHARED / "pyfeat_single_face.mp4"
    return path if path.is_file() else talking


@pytest.fixture(scope="module")
def expected(run: Path, talking: Path) -> Prediction:
    return predict(run, talking)[0]


@pytest.fixture(scope="module")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (SHARED / "pyfeat_no_face.mp4").is_file():
        return SHARED / "pyfeat_no_face.mp4"
    path = tmp_path_factory.mktemp("faceless") / "tone.wav"
    write_sound(path, tone(0.5, hertz=300.0))
    return path


@pytest.fixture(params=["desktop", "phone"])
def page(browser: Any, served: Served, request: pytest.FixtureRequest) -> Iterator[Any]:
    scheme = "light" if request.param == "desktop" else "dark"
    context = browser.new_context(viewport=SIZES[request.param], color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(600_000)
    page.hosts, page.faults = [], []
    page.on("request", lambda one: page.hosts.append(one.url))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda one: one.type == "error" and page.faults.append(one.text))
    page.goto(f"{served.address}/")
    yield page
    addresses = {re.sub(r"^(\w+://[^/]*).*", r"\1", url) for url in page.hosts}
    assert {one for one in addresses if one.startswith("http")} == {served.address}
    assert not page.faults
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    context.close()


def test_a_file_gives_the_five_numbers_of_predict(
    page: Any, talking: Path, expected: Prediction
) -> None:
    page.evaluate(
        "window.stages = []; new MutationObserver(() => window.stages.push(stage.textContent))"
        ".observe(stage, {childList: true, characterData: true, subtree: true})"
    )
    page.set_input_files("#file", str(talking))
    page.get_by_role("button", name="Score it").click()
    page.wait_for_selector(".answer")
    # The server tells each stage, however short: none can be missed.
    stages = page.evaluate("window.stages")
    assert stages[0].startswith("Sending the recording")
    assert any("looking for faces" in stage for stage in stages)
    assert stages[-1].startswith("Done")
    cells = page.query_selector_all(".score")
    shown = {
        cell.get_attribute("data-target"): float(cell.get_attribute("data-score")) for cell in cells
    }
    assert shown == dict(expected.scores)
    for cell in cells:  # and what a person reads is that number
        score = expected.scores[cell.get_attribute("data-target")]
        assert cell.inner_text().strip() == f"{score:.3f}"
    assert page.locator(".faces img").count() >= 1
    assert "Not for decisions about people" in page.inner_text(".not")
    assert page.get_by_label("neuroticism (high = stable)").count()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    saved = json.loads(Path(download.value.path()).read_text())
    assert saved["clips"][0]["scores"] == dict(expected.scores)
    open_timeline(page, expected)
    open_explanation(page)


def open_timeline(page: Any, expected: Prediction) -> None:
    """Read the windows, and play from the middle of a line by pointer, from its start by key."""
    assert expected.timeline is not None
    page.get_by_text("As a table").click()
    cells = page.locator(".timeline tbody tr").first.locator("td").all_inner_texts()
    assert cells == [f"{scores[0]:.3g}" for scores in expected.timeline.scores.values()]
    until(lambda: page.evaluate("player.readyState > 0"))
    line = page.locator(".timeline svg").nth(1)
    box = line.bounding_box()
    line.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    middle = expected.timeline.ends[-1] / 2
    until(lambda: page.evaluate(f"Math.abs(player.currentTime - {middle}) < 0.2"))
    page.get_by_label("Position").press("Home")
    until(lambda: page.evaluate("player.currentTime === 0"))


def open_explanation(page: Any) -> None:
    """Ask why, read the verdict of the deletion test, and look at another trait's moment."""
    page.get_by_role("button", name="Explain these scores").press("Enter")
    page.wait_for_selector(".because .evidence")
    assert page.get_by_role("heading", name="What this explanation is worth").is_visible()
    for trait in page.locator(".because .tabs > label").all():
        trait.click()
        shown = page.locator(".because .pane:visible")
        assert shown.locator(".tag").inner_text() in {"better than random", "no better than random"}
        assert shown.get_by_text("Deleting the strongest evidence moves the score").is_visible()
    strip = page.locator(".because .strip:visible").first
    strip.click(position={"x": 2, "y": 5})
    until(lambda: page.evaluate("player.currentTime < 2"))
    width = page.locator(".because .sided i:visible").first.bounding_box()["width"]
    assert width > 1  # the page's policy lets bars have their lengths


def test_a_clip_without_a_face_gives_the_reason(page: Any, faceless: Path) -> None:
    page.set_input_files("#file", str(faceless))
    page.get_by_role("button", name="Score it").click()
    page.wait_for_selector("#result .failed")
    assert re.search("[Nn]o (face|video)", page.inner_text("#result .failed"))
    assert not page.query_selector_all(".score")


def test_two_runs_stand_side_by_side(page: Any, brief: Path) -> None:
    for box in page.query_selector_all("input[name=model]"):
        box.check()
    page.set_input_files("#file", str(brief))
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Score it").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Side by side")
    assert page.locator("section[aria-label=Comparison] tbody tr").count() == 5


def test_the_camera_records_and_is_scored(page: Any) -> None:
    page.get_by_role("button", name="Record with the camera").click()
    page.get_by_role("button", name="Start recording").click()
    until(lambda: page.evaluate("/, [1-9][0-9]* kB/.test(clock.textContent)"))
    page.get_by_role("button", name="Stop recording").click()
    page.wait_for_selector("#chosen:has-text('recording.')")
    page.get_by_role("button", name="Score it").click()
    # The browser's own test picture shows no face: what it recorded was read, then.
    page.wait_for_selector("#result .failed")
    assert "No face was found" in page.inner_text("#result .failed")


def test_it_works_without_scripts(browser: Any, served: Served, faceless: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.address}/")
    page.set_input_files("#file", str(faceless))
    page.click("button.main")
    page.wait_for_selector("#result .failed", timeout=600_000)
    page.goto(f"{served.address}/jobs/unknown")
    assert "Send the recording again" in page.inner_text("main")
    context.close()
