# Every target sets itself up: a fresh machine needs python3 >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# dlib-bin, MediaPipe, OpenCV and LightGBM wheels load these at run time.
LIBRARIES := libegl1 libgles2 libgl1 libglib2.0-0 libgomp1

.PHONY: install demo test test-slow check fix docs bench bench-full clean
.DEFAULT_GOAL := install

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing into $(VENV), all that traitscope needs: usually 2 to 10 minutes, most of it download."
	@sh tools/system_libraries.sh $(LIBRARIES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@sh tools/patiently.sh "installing packages" \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)
	@echo "Installed. Try: make demo"

demo: $(STAMP)
	$(BIN)/traitscope demo

# Each process takes one half of the tests, room by room, so that what a file prepares is made
# once; who has finished first takes over from the other.
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

check: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks tools examples
	$(BIN)/ruff check src tests benchmarks tools examples
	$(BIN)/codespell *.md docs src examples tools benchmarks
	$(BIN)/mypy
	$(MAKE) test

fix: $(STAMP)
	$(BIN)/ruff format src tests benchmarks tools examples
	$(BIN)/ruff check --fix src tests benchmarks tools examples

docs: $(STAMP)
	$(BIN)/python tools/site.py

# A short look at all of them; the table goes to docs/benchmarks.md.
bench: $(STAMP)
	$(BIN)/python -m benchmarks

# Hours: planted traits, service under load, endurance, damaged files.
bench-full: $(STAMP)
	$(BIN)/python -m benchmarks --full

clean:
	rm -rf $(VENV) demo
