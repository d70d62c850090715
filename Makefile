# One command for people and for CI. Every target does its own set-up.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= auto

.PHONY: help install demo test check bench fmt lock reference pictures clean

help:
	@echo "make install   set up .venv with the pinned packages; then .venv/bin/oneself --help"
	@echo "make demo      play the registration story on a running service and keep it running"
	@echo "make test      every test, with the embedded PostgreSQL; database tests again on the distribution's"
	@echo "make check     style, types, import rules, documentation links"
	@echo "make bench     the measured questions, with their bare PostgreSQL figures"
	@echo "make fmt       format the code"
	@echo "make reference write the reference pages that list commands, settings and addresses"
	@echo "make pictures  make the pictures of the documentation anew, from a running demo"
	@echo "make lock      pin requirements*.in anew, with hashes"

install: .venv/.installed

.venv/.installed: requirements.txt requirements-dev.txt pyproject.toml tools/install
	@PYTHON="$(PYTHON)" tools/install

demo: install
	@$(BIN)/oneself demo

test: install
	@tools/test $(ARGS)

check: install
	@tools/check

bench: install
	@$(BIN)/python -m bench $(ARGS)

fmt: install
	@$(BIN)/ruff check --quiet --fix-only src tests tools bench
	@$(BIN)/ruff format src tests tools bench

reference: install
	@$(BIN)/python tools/write_reference.py

pictures: install
	@$(BIN)/python tools/make_pictures.py

lock:
	@tools/lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .tmp
