PYTHON ?= .venv/bin/python
PYTEST_OPTIONS ?=

.PHONY: check docs test plain slow browser campaign
check:  ## formatting, lint, types
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

docs:  ## the docs site, into site/; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict --quiet

test:  ## the fast tests
	$(PYTHON) -m pytest $(PYTEST_OPTIONS)

plain:  ## app, library and training without the optional fast paths
	SEMPA_PLAIN=1 $(PYTHON) -m pytest tests/test_plain.py $(PYTEST_OPTIONS)

slow:  ## tests on the real model
	$(PYTHON) -m pytest -m slow $(PYTEST_OPTIONS)

browser:  ## tests in Chromium
	$(PYTHON) -m pytest -m browser $(PYTEST_OPTIONS)

campaign:  ## hundreds of requests, many kills: before a release, half an hour
	$(PYTHON) -m pytest -m campaign $(PYTEST_OPTIONS)
