"""Evaluation of predictions against a dataset: run in parts, put together exactly, told as tables and a report."""

from pasco_core.evaluation.condition import CLEAN, Condition, conditions_of
from pasco_core.evaluation.merging import common_run
from pasco_core.evaluation.plan import EvaluationPlan, choose_frames
from pasco_core.evaluation.report import make_report
from pasco_core.evaluation.results import Results
from pasco_core.evaluation.run import Work, Workforce, begin, evaluate
from pasco_core.evaluation.sources import FolderSource, NetworkSource, TruthSource
from pasco_core.evaluation.summary import Summary, summarise

__all__ = [
    "CLEAN",
    "Condition",
    "EvaluationPlan",
    "FolderSource",
    "NetworkSource",
    "Results",
    "Summary",
    "TruthSource",
    "Work",
    "Workforce",
    "begin",
    "choose_frames",
    "common_run",
    "conditions_of",
    "evaluate",
    "make_report",
    "summarise",
]
