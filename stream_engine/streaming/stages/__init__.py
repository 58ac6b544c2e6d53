"""What is done with each topic's records: bytes in, everything to be published out. No Kafka client, no Faust."""

from stream_engine.streaming.stages.again import ListsAgain
from stream_engine.streaming.stages.catalogue import ANNOUNCED, Catalogue, points
from stream_engine.streaming.stages.clicks import Clicks
from stream_engine.streaming.stages.control import Control
from stream_engine.streaming.stages.erasing import Erasing
from stream_engine.streaming.stages.joins import Joins
from stream_engine.streaming.stages.ordering import Ordering, Past
from stream_engine.streaming.stages.placing import Placement
from stream_engine.streaming.stages.statistics import Statistics
from stream_engine.streaming.stages.tables import FakeTable, Place, StateTable

__all__ = [
    "ANNOUNCED",
    "Catalogue",
    "Clicks",
    "Control",
    "Erasing",
    "FakeTable",
    "Joins",
    "ListsAgain",
    "Ordering",
    "Past",
    "Place",
    "Placement",
    "StateTable",
    "Statistics",
    "points",
]
