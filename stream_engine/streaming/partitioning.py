"""Where keys go: the Java client's default partitioner, so that everybody's records of a key meet."""

from __future__ import annotations

from stream_engine.compiled import compiled

_SEED, _M, _WORD = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key among so many."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


@compiled
def _murmur2(key: bytes) -> int:
    """MurmurHash2 (Appleby, 2008) as `org.apache.kafka.common.utils.Utils.murmur2` has it."""
    whole = len(key) & ~3
    mixed = (_SEED ^ len(key)) & _WORD
    for at in range(0, whole, 4):
        word = key[at] | key[at + 1] << 8 | key[at + 2] << 16 | key[at + 3] << 24
        word = word * _M & _WORD
        word = (word ^ word >> 24) * _M & _WORD
        mixed = mixed * _M & _WORD ^ word
    if len(key) > whole:
        for at in range(len(key) - 1, whole - 1, -1):
            mixed ^= key[at] << 8 * (at - whole)
        mixed = mixed * _M & _WORD
    mixed = (mixed ^ mixed >> 13) * _M & _WORD
    return mixed ^ mixed >> 15
