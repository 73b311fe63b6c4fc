PYTHON ?= .venv/bin/python

.PHONY: check test slow browser
check:  ## formatting, lint, types
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

test:  ## the fast tests
	$(PYTHON) -m pytest

slow:  ## tests on the real model
	$(PYTHON) -m pytest -m slow

browser:  ## tests in Chromium
	$(PYTHON) -m pytest -m browser
