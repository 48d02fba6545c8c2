"""``traitscope features``: look at what was extracted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from traitscope.cli._features_export import export, sheet
from traitscope.cli._features_import import import_table
from traitscope.cli._features_pack import pack, unpack
from traitscope.cli._features_verify import verify

if TYPE_CHECKING:
    from traitscope.features.store import Store

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _features() -> None:
    """Look into a store; bring tables in and out; check and pack it."""


@app.command()
def show(
    store: Annotated[Path, typer.Argument(help="Folder of the feature store.")],
    clip: Annotated[str | None, typer.Option(help="Show the streams of this clip.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a store holds: features, settings, counts, coverage, size.

    traitscope features show store

    traitscope features show store --clip interview_07.mp4 --json
    """
    from traitscope.cli._shared import write_json
    from traitscope.errors import DataError
    from traitscope.features.remote import open_store

    opened = open_store(store)
    # A folder of something else, or a misspelt one: an empty table would look like a store.
    if not opened.fingerprints():
        raise DataError(
            f"There are no features in {store}. Make some with: "
            f"traitscope prepare CORPUS --store {store} --extract faces"
        )
    found = _overview(opened) if clip is None else _streams(opened, clip)
    if json:
        write_json(found)
    elif clip is None:
        _print_overview(found)
    else:
        _print_streams(found)


def _overview(store: "Store") -> list[dict[str, Any]]:
    from collections import Counter

    found = []
    for key, fingerprint in store.fingerprints().items():
        rows = store.rows(key)
        # Of those that are there: failures stand beside it by their statuses.
        coverage = [row.coverage for row in rows if row.status == "ok"]
        found.append(
            {
                "key": key,
                "fingerprint": fingerprint,
                "statuses": dict(Counter(row.status for row in rows).most_common()),
                "coverage": sum(coverage) / len(coverage) if coverage else None,
                "size_bytes": store.size_bytes(key),
            }
        )
    return found


def _streams(store: "Store", clip: str) -> list[dict[str, Any]]:
    from traitscope.errors import DataError

    rows = {key: store.rows(key) for key in store.fingerprints()}
    found = [
        _stream(store, key, row) for key, known in rows.items() for row in known if row.clip == clip
    ]
    if not found:
        from difflib import get_close_matches

        names = sorted({row.clip for known in rows.values() for row in known})
        # Ids are file names, with suffix in some corpora and without in others.
        near = get_close_matches(clip, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise DataError(f"There is no clip {clip!r} in {store.folder}.{hint}")
    return found


def _stream(store: "Store", key: str, row: Any) -> dict[str, Any]:
    from dataclasses import asdict

    found: dict[str, Any] = {"key": key, **asdict(row)}
    # A failure has no file to be opened: its reason is all there is.
    if row.status != "ok":
        return found
    # By its file: several corpora may have a clip of this id.
    stream = store.read(key, row.clip, file=row.stem)
    times = stream.time.tolist()
    return found | {
        "shape": [len(times)] if stream.values is None else list(stream.values.shape),
        "kind": "images" if stream.values is None else str(stream.values.dtype),
        "first_seconds": times[0] if times else None,
        "last_seconds": times[-1] if times else None,
        "columns": list(stream.columns),
        "info": dict(stream.info),
    }


def _print_overview(found: list[dict[str, Any]]) -> None:
    from traitscope.cli._shared import write_table

    write_table(
        ["features", "statuses", "coverage", "size", "settings"],
        [
            [
                entry["key"],
                ", ".join(f"{count} {status}" for status, count in entry["statuses"].items()),
                percent(entry["coverage"]),
                size(entry["size_bytes"]),
                _settings(entry["fingerprint"]),
            ]
            for entry in found
        ],
    )


def _settings(fingerprint: dict[str, Any]) -> str:
    settings = fingerprint.get("config") or {}
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _print_streams(found: list[dict[str, Any]]) -> None:
    from traitscope.cli._shared import write_table

    for entry in found:
        # Only where an id has several streams: then it matters whose this one is.
        whose = f" ({entry['corpora']})" if entry["file"] else ""
        typer.echo(f"{entry['key']}{whose}: {entry['status']}" + f" {entry['reason']}".rstrip())
        if entry["status"] != "ok":
            continue
        first, last = entry["first_seconds"], entry["last_seconds"]
        write_table(
            ["shape", "kind", "from", "to", "coverage"],
            [
                [
                    " x ".join(map(str, entry["shape"])),
                    entry["kind"],
                    "" if first is None else f"{first:.3f} s",
                    "" if last is None else f"{last:.3f} s",
                    percent(entry["coverage"]),
                ]
            ],
        )
        if entry["columns"]:
            typer.echo(f"  columns: {', '.join(entry['columns'])}")
        for name, value in entry["info"].items():
            typer.echo(f"  {name}: {value}")


def percent(share: float | None) -> str:
    """Write a share for people; nothing for None."""
    return "" if share is None else f"{share:.1%}"


def size(number: int) -> str:
    """Write a number of bytes for people."""
    # Thousands, as disks are sold and file managers count.
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000  # type: ignore[assignment]
    return f"{number:.3g} GB"


# After `show`, which is what one asks of a store first: --help lists them in this order.
app.command()(sheet)
app.command("import")(import_table)
app.command()(export)
app.command()(verify)
app.command()(pack)
app.command()(unpack)
