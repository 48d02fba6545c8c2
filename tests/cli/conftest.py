"""What all verbs are tested with."""

import sys
from collections.abc import Callable

import pytest

from traitscope.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def type_in(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type a command line; exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        typed = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["traitscope", *typed])
        try:
            main(typed)
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run
