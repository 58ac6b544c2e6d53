"""The partitioner is the Java client's, as kafka-python has it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2

from stream_engine.streaming.partitioning import partition_of


@given(st.binary(max_size=70), st.integers(1, 100))
def test_keys_go_where_other_clients_put_them(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions
