"""Makes the stand-in dataset importable, also by the processes that tests start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def run_plan(tmp_path):
    """Runs a plan to its end in a folder and returns its results; no launcher, no report."""
    from pasco_core.evaluation.results import Results
    from pasco_core.evaluation.run import Workforce, begin, evaluate
    from pasco_core.evaluation.summary import summarise

    def run(plan, folder: str = "out", shard=None, jobs: int = 1):
        work = begin(plan, "SemanticKITTI", tmp_path / folder, shard)
        list(evaluate(work, Workforce(jobs)))
        if work.missing():
            return None
        results = Results(summarise([work.out], work.run))
        results.write(work.out)
        return results

    return run
