# The same commands for people and for CI. Every target installs what it needs.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= auto

.PHONY: help install demo test check bench fmt lock reference pictures clean

help:
	@echo "make install    create .venv with the pinned packages; then run .venv/bin/oneself --help"
	@echo "make demo       start a service with a sample organisation and play the registration story"
	@echo "make test       run every test, on the distribution's PostgreSQL and on the embedded one"
	@echo "                ARGS is passed to pytest: make test ARGS='tests/unit -x'"
	@echo "make check      check style, types, import rules and documentation links"
	@echo "make bench      measure; ARGS names questions or options: make bench ARGS=--quick"
	@echo "make fmt        format the code"
	@echo "make reference  generate the reference pages of commands, settings and addresses, and schema.sql"
	@echo "make pictures   generate the pictures of the documentation from a running demo"
	@echo "make lock       pin the newest versions of requirements*.in, with hashes"
	@echo "make clean      delete .venv and caches"

install: .venv/.installed
	@tools/build-sdk

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
	@$(BIN)/python tools/write_schema.py

pictures: install
	@$(BIN)/python tools/make_pictures.py

lock:
	@tools/lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .tmp
