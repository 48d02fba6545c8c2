"""The rules of the house, as tests."""

import ast
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.__main__ import SHORT
from traitscope import registry

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "traitscope"
FILES = sorted(PACKAGE.rglob("*.py"))

ORDER = [
    "errors",
    "escaping",
    "notes",
    "frames",
    "answer_picture",
    "answers",
    "types",
    "extras",
    "notebook",
    "registry",
    "files",
    "config",
    "sheets",
    "model_packages",
    "weights",
    "ray_cluster",
    "statistics",
    "plotting",
    "media",
    "corpora",
    "nn",
    "tracking",
    "extract",
    "features",
    "augment",
    "data",
    "learners",
    "models",
    "runs",
    "training",
    "evaluation",
    "prediction",
    "audit",
    "analysis",
    "report",
    "experiments",
    "service",
    "interface",
    "predictor",
    "doctor",
    "cli",
    "__main__",
]
"""Rooms in the order data walks; a room imports only from rooms before it."""


def room_of(path: Path) -> str:
    """The room a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(nodes: list[ast.AST]) -> Iterator[tuple[str, int]]:
    """Modules that a file imports, each with the line."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "traitscope":
                yield from ((f"traitscope.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)


def rooms_import_upstream_only(path: Path, nodes: list[ast.AST]) -> Iterator[str]:
    room = room_of(path)
    if room == "__init__":
        return
    if room not in ORDER:
        yield f"{room} is a new room: put it into ORDER where data reaches it"
        return
    for name, line in imports_of(nodes):
        parts = name.split(".")
        if parts[0] != "traitscope" or len(parts) < 2 or parts[1] not in ORDER:
            continue
        if ORDER.index(parts[1]) > ORDER.index(room):
            yield f"{line} imports {name}"


def rooms_keep_private_modules_and_names(path: Path, nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        home, *words = [*node.module.split("."), *(alias.name for alias in node.names)]
        if home != "traitscope":
            continue
        private = [w for w in words if w.startswith("_") and not w.startswith("__")]
        if private and words[0] != room_of(path):
            yield f"{node.lineno} imports {private}"


READERS = {
    "sheets": "the one reader of other people's tables",
    "files.py": "what its own write_csv wrote: history.csv, clips.csv",
    "report/tables.py": "published results and licences of the package itself",
    "features/status.py": "status.csv, which the store writes",
    "prediction/score_table.py": "scores.csv, which a prediction writes",
    "runs/scorings.py": "scorings.csv, which an evaluation writes",
    "extract/_recognised.py": "timed words, from text that is at hand",
    "evaluation/trained_runs.py": "predictions.csv of folds, which an evaluation wrote",
}
"""Files that open tables by themselves, and which."""
PANDAS = ("read_csv", "read_table", "read_fwf", "read_parquet", "read_excel")
PARQUET = ("ParquetFile", "read_table")
READING = {"csv": ("reader", "DictReader"), "pd": PANDAS, "pandas": PANDAS, "pq": PARQUET}


def tables_of_others_are_read_by_one_reader(path: Path, nodes: list[ast.AST]) -> Iterator[str]:
    home = path.relative_to(PACKAGE).as_posix()
    if home in READERS or home.split("/")[0] in READERS:
        return
    for node in nodes:
        by = READING.get(getattr(getattr(node, "value", None), "id", ""), ())
        if isinstance(node, ast.Attribute) and node.attr in by:
            yield f"{node.lineno} reads a table"


IMPORTERS = {
    "registry.py": "entries of the open sets, and what the user typed",
    "extras.py": "optional packages, by names written in our code",
    "__init__.py": "the public verbs, from a fixed table",
    "cli/__init__.py": "the verbs of the command line, from a fixed table",
    "media/__init__.py": "the decoders, from a fixed table",
    "report/__init__.py": "the writers of a report, from a fixed table",
    "training/_lightning.py": "torchmetrics, from a fixed table, when somebody wants it",
    "training/_on_demand.py": "packages that others leave to it, when they are wanted",
}
"""Files that import by name, and what."""


def few_files_import_by_name(path: Path, nodes: list[ast.AST]) -> Iterator[str]:
    names = {"import_module", "__import__", "exec_module", "load_source"}
    used = names & {getattr(n, "attr", None) or getattr(n, "id", None) for n in nodes}
    if used and path.relative_to(PACKAGE).as_posix() not in IMPORTERS:
        yield f"1 uses {sorted(used)}"


def what_is_imported_from_outside_was_typed(path: Path, nodes: list[ast.AST]) -> Iterator[str]:
    # `Typed(...)` says that names were typed: only who sees a verb's own arguments may say that.
    makers = {"registry.py", "runs/plan.py"}
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        allowed = given.get("outside")
        if isinstance(allowed, ast.Constant) and allowed.value is True:
            yield f"{node.lineno} allows what is outside"
        called = getattr(node.func, "attr", getattr(node.func, "id", None))
        if called == "Typed" and path.relative_to(PACKAGE).as_posix() not in makers:
            yield f"{node.lineno} says that something was typed"
        # of what a user typed; a file's address goes to saved_corpus
        if called == "load_corpus" and any(
            isinstance(part, ast.Attribute) for part in ast.walk(node.args[0])
        ):
            yield f"{node.lineno} loads a corpus that nobody typed"


def files_and_functions_stay_readable(path: Path, nodes: list[ast.AST]) -> Iterator[str]:
    lines = path.read_text(encoding="utf-8").count("\n")
    if lines > 400:
        yield f"{lines} lines"
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > 60:
                yield f"{node.lineno} {node.name} has {length} lines"


def nothing_unpickles(path: Path, nodes: list[ast.AST]) -> Iterator[str]:
    for name, line in imports_of(nodes):
        pickles = name.split(".")[0] in {"pickle", "cPickle", "dill", "joblib"}
        if pickles and path.name != "_unpickling.py":
            yield f"{line} imports {name}"
    text = path.read_text(encoding="utf-8")
    yield from (word for word in ("allow_pickle=True", "weights_only=False") if word in text)


def only_verbs_that_say_so_use_the_network(path: Path, nodes: list[ast.AST]) -> Iterator[str]:
    for name, line in imports_of(nodes):
        network = name.split(".")[0] in {"requests", "httpx", "aiohttp"} or name.startswith(
            ("urllib.request", "http.client")
        )
        if network and path.name != "weights.py":
            yield f"{line} imports {name}"


RULES = [
    rooms_import_upstream_only,
    rooms_keep_private_modules_and_names,
    tables_of_others_are_read_by_one_reader,
    few_files_import_by_name,
    what_is_imported_from_outside_was_typed,
    files_and_functions_stay_readable,
    nothing_unpickles,
    only_verbs_that_say_so_use_the_network,
]
"""Each gives a file's breaches: the line, and what is wrong there."""


@pytest.fixture(scope="module")
def breaches() -> dict[Callable[..., Iterator[str]], list[str]]:
    """Breaches of every rule, from one reading of each file: parsing costs more than the rules."""
    broken: dict[Callable[..., Iterator[str]], list[str]] = {rule: [] for rule in RULES}
    for path in FILES:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for rule in RULES:
            home = path.relative_to(PACKAGE)
            broken[rule] += [f"{home}:{breach}" for breach in rule(path, nodes)]
    return broken


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(
    rule: Callable[..., Iterator[str]], breaches: dict[Callable[..., Iterator[str]], list[str]]
) -> None:
    assert not breaches[rule]


@pytest.mark.parametrize("room", sorted(p.name for p in PACKAGE.iterdir() if p.is_dir()))
def test_every_room_says_what_comes_in_and_goes_out(room: str) -> None:
    if room not in ORDER:  # caches, recipes
        return
    face = PACKAGE / room / "__init__.py"
    text = ast.get_docstring(ast.parse(face.read_text(encoding="utf-8"))) or ""
    assert len(text) >= 40, f"{room}/__init__.py: what comes in, what goes out?"


def test_nothing_is_called_utils() -> None:
    names = {"utils", "helpers", "common", "manager", "engine"}
    assert not [path for path in FILES if path.stem in names or path.parent.name in names]


def test_notes_to_do_have_an_issue_number() -> None:
    for path in FILES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert "TODO" not in line or "#" in line.partition("TODO")[2], f"{path}:{number}"


HEAVY = {"torch", "numpy", "cv2", "pandas", "lightning", "mediapipe", "scipy", "av", "pydantic"}
LIGHT = [
    "import traitscope",
    "import traitscope.cli",
    "from traitscope import registry; registry.names('models')",
    "from traitscope.cli.ls import describe; describe('models', 'audio_lstm')",
    *[f"import traitscope.cli.{path.stem}" for path in sorted((PACKAGE / "cli").glob("[a-z]*.py"))],
]


def test_importing_and_listing_stays_light() -> None:
    # One interpreter for all of them: the first that loads something heavy is named.
    code = "import sys\n" + "".join(
        f"{line}\nprint({line!r}, *sorted({HEAVY!r} & set(sys.modules)), sep=chr(9))\n"
        for line in LIGHT
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = [line.split("\t") for line in result.stdout.splitlines()]
    assert len(loaded) == len(LIGHT)
    for statement, *heavy in loaded:
        assert not heavy, f"{statement} imports {heavy}"


def test_public_verbs_are_not_shadowed_by_modules() -> None:
    import importlib
    import pkgutil

    import traitscope

    for module in pkgutil.walk_packages(traitscope.__path__, "traitscope."):
        importlib.import_module(module.name)
    for verb in traitscope.__all__:
        if verb == "__version__":
            continue
        for _ in range(2):
            assert callable(getattr(traitscope, verb)), verb


@pytest.mark.parametrize("room", ["corpora", "tracking", "extract", "augment", "models"])
def test_every_entry_says_what_it_is(room: registry.Room) -> None:
    from traitscope.cli.ls import describe

    for name in registry.names(room):
        assert describe(room, name)["about"].endswith("."), f"{room}/{name}"


def test_recipes_are_short_and_hold_no_machine_facts() -> None:
    for name in registry.names("recipes"):
        lines = (PACKAGE / "recipes" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 25, name
        assert lines[0].startswith("# "), name
        for word in ("device", "accelerator", "/data", "workers", "store:", "corpus:"):
            assert not any(word in line for line in lines[1:]), f"{name}: {word}"


def test_constraints_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split("\n")
    for line in filter(None, lines):
        name, _, version = line.partition("==")
        assert name.replace("-", "").replace("_", "").replace(".", "").isalnum(), line
        assert version, line
        assert "/" not in line, line


def test_documented_exports_are_there() -> None:
    import traitscope

    for verb in ("prepare", "train", "evaluate", "predict"):
        assert verb in traitscope.__all__


def test_the_picture_of_the_architecture_is_that_of_the_code() -> None:
    script = runpy.run_path(str(ROOT / "tools" / "architecture.py"))
    drawn = script["draw"](script["order"]())
    assert (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8") == drawn, (
        "rooms or their imports changed; draw them again: python tools/architecture.py"
    )


def steps() -> list[list[tuple[str, str]]]:
    """Paths of docs/architecture.md: (file, name) of each step, in order."""
    parts = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("\n## ")[1:]
    return [re.findall(r"^\d+\. `([\w/.]+): (\w+)`", part, re.MULTILINE) for part in parts]


def test_documented_paths_exist_and_take_no_step_back() -> None:
    assert len(steps()) == 4
    for path in steps():
        rooms = [ORDER.index(Path(file).parts[0]) for file, _ in path]
        # Labels are the one thing that may come in before or after media: they name the files.
        later = [room for room in rooms if room != ORDER.index("corpora")]
        assert later == sorted(later), path
        for file, name in path:
            tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
            defined = {getattr(node, "name", None) for node in tree.body}
            assert name in defined, f"docs/architecture.md: {file} has no {name}"


def test_every_benchmark_is_in_the_table_of_all() -> None:
    folders = {path.parent.name for path in (ROOT / "benchmarks").glob("*/__main__.py")}
    assert set(SHORT) == folders
