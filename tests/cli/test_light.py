"""`check` and `plan` stay light: they never load Ray, MLflow or the openai client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SPEC, SOFTWARE = EXAMPLES / "01-two-hop-qa" / "pipeline.json", EXAMPLES / "software"
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


SIMULATION = ("--simulated", str(SOFTWARE / "simulated.json"))


@pytest.mark.parametrize(
    "command",
    [("check", str(SPEC)), ("plan", str(SPEC)), ("plan", str(SOFTWARE / "pipeline.json"), *SIMULATION)],
    ids=["check", "plan", "plan --simulated"],
)
def test_check_and_plan_import_nothing_heavy(command: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"
