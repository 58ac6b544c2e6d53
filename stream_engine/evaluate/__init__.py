"""The engine over a log: test, then learn, beside what it has to beat."""

from stream_engine.evaluate.log import BadLine, Log, log_of, read_log
from stream_engine.evaluate.run import Evaluation, NothingToEvaluate, run

__all__ = ["BadLine", "Evaluation", "Log", "NothingToEvaluate", "log_of", "read_log", "run"]
