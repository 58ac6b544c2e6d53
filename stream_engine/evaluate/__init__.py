"""The engine over a log: test, then learn, beside what it has to beat."""

from stream_engine.evaluate.ablation import ablated
from stream_engine.evaluate.log import BadLine, Log, log_of, read_log
from stream_engine.evaluate.run import Evaluation, NothingToEvaluate, run
from stream_engine.evaluate.topics import log_on_topics

__all__ = [
    "BadLine",
    "Evaluation",
    "Log",
    "NothingToEvaluate",
    "ablated",
    "log_of",
    "log_on_topics",
    "read_log",
    "run",
]
