"""`python -m agenttts.runtime.cli`: the same as the `agenttts` command, for children of ours."""

from __future__ import annotations

from agenttts.runtime.cli.main import main

main()
