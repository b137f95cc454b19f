"""`check` and `plan` stay light: they never load Ray, MLflow or the openai client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SPEC = Path(__file__).parents[2] / "examples" / "01-two-hop-qa" / "pipeline.json"
PROBE = """
import sys
from agenttts.runtime.cli.main import main
try:
    main()
except SystemExit as leaving:
    assert not leaving.code, leaving.code
heavy = {"ray", "mlflow", "openai", "pyarrow", "kubernetes", "sqlalchemy", "matplotlib"} & set(sys.modules)
print("HEAVY", sorted(heavy))
"""


@pytest.mark.parametrize("command", ["check", "plan"])
def test_check_and_plan_import_nothing_heavy(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, command, str(SPEC)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"
