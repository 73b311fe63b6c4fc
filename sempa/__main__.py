"""Run `python -m sempa`."""

from sempa.cli import main

raise SystemExit(main())
