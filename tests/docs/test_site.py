"""The site: built without a warning, asking nobody, with a search that works in a file."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.browsers import open_page

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("zensical") is None, reason="needs the generator (extra docs)"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sys.path.insert(0, str(ROOT))
    from tools.site import build

    # Any warning, a link that leads nowhere among them, ends the build.
    return build(tmp_path_factory.mktemp("scratch"), tmp_path_factory.mktemp("built") / "site")


def test_a_page_opens_from_a_file_and_asks_nobody(site: Path) -> None:
    with open_page((site / "concepts" / "leakage.html").as_uri()) as (page, asked):
        page.wait_for_selector("h1")
        assert "Leakage" in page.inner_text("h1")
        page.keyboard.press("/")
        page.keyboard.type("halo")
        page.wait_for_selector("text=Raters who like somebody")
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


def test_every_verb_and_model_has_its_place(site: Path) -> None:
    from traitscope import registry
    from traitscope.cli import VERBS

    verbs = (site / "reference" / "verbs.html").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f'id="{verb}"' not in verbs] == []
    models = (site / "reference" / "models.html").read_text(encoding="utf-8")
    assert [name for name in registry.names("models") if f'id="{name}"' not in models] == []
