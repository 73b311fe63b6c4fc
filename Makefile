PYTHON ?= .venv/bin/python
PYTEST_OPTIONS ?=

.PHONY: check docs test plain slow browser campaign lock
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

SIZE ?= 0.1
SEED ?= 0
campaign:  ## attacks, kills and damage, before a release; SIZE=1 is all of it
	$(PYTHON) -m pytest -m campaign --size $(SIZE) --campaign-seed $(SEED) $(PYTEST_OPTIONS)

CUDA = cuda-bindings cuda-toolkit nvidia-cublas nvidia-cudnn-cu13 nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13 triton
lock:  ## renew requirements.lock; needs uv; torch and its CUDA packages are left out, see docs/public.md
	printf '%s\n' $(CUDA) | uv pip compile requirements.txt --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-emit-package torch --excludes /dev/stdin --custom-compile-command "make lock" \
		--upgrade --quiet --output-file requirements.lock
