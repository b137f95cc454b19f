"""How a sandbox that says nothing is ended, with a clock of our own."""

from __future__ import annotations

import os
import subprocess
import sys

from agenttts.runtime.programs import executability, report
from agenttts.runtime.sandbox.model import Ending, Limits
from agenttts.runtime.sandbox.outside import START_S, Watch


def test_a_sandbox_that_stays_silent_after_its_programs_time_was_killed_and_is_unscored():
    moments = iter((0.0, 0.0, 2 * START_S + Limits().time_s + 1))
    pipe, end = os.pipe()
    os.write(end, b"\n")
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        watch = Watch(process, Limits(), clock=lambda: next(moments))
        cut = watch.through(pipe)
    os.close(pipe)
    os.close(end)
    assert (cut, watch.said) == ("killed", b"\n")
    assert executability({})(report(Ending(cut)), {}) is None
