"""Fails when what we override or rely on in Faust and aiokafka changes upstream (see streaming/consumer.py).

After an upgrade: read the upstream difference of what is named, re-check what stands beside it, run the fault scenarios
(`make test-faults ARGS="--minutes 15"`), then put the new hash here.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from faust.transport.consumer import Consumer

from stream_engine.streaming.chunk_app import ChunkApp, ChunkTransport
from stream_engine.streaming.consumer import ChunkConsumer
from stream_engine.streaming.membership import Member
from stream_engine.streaming.table import BytesTable

CONSUMER = "faust.transport.consumer:Consumer."
THREADED = "faust.transport.consumer:ThreadDelegateConsumer."
DRIVER = "faust.transport.drivers.aiokafka:"
APP = "faust.app.base:App."
THREAD = "mode.threads:"
RECOVERY = "faust.tables.recovery:Recovery."
COORDINATOR = "aiokafka.consumer.group_coordinator:GroupCoordinator."

UPSTREAM = {
    CONSUMER + "getmany": ("4b168d84882a70d6", "our getmany delivers, and withholds, under the same conditions"),
    CONSUMER + "_wait_next_records": ("6218e1969a636b3f", "getmany: what comes back, None or empty included"),
    CONSUMER + "_drain_messages": (
        "44a2500309e83c63",
        "ours: a poll in one task; no read offsets, gaps or acks",
    ),
    CONSUMER + "on_buffer_full": ("c8961679e0bcdce5", "getmany: partitions with full buffers stay deliverable"),
    CONSUMER + "on_buffer_drop": ("4b57e8a418d5ad9c", "getmany: and come back"),
    CONSUMER + "_filter_tps_with_pending_acks": ("f6f9239774234e7e", "the partitions a commit asks _new_offset for"),
    CONSUMER + "_new_offset": ("1d2c7ea89a7ad4f1", "what is committed: the next offset to read"),
    CONSUMER + "_should_commit": ("5ce941793947ad42", "ours: all that is committable, refused before or not"),
    CONSUMER + "_add_gap": ("4df2573ded7c1c2c", "gaps are not used for anything but _new_offset"),
    CONSUMER + "_commit_tps": ("a20e230b05ae8b15", "commits come from _new_offset alone"),
    CONSUMER + "_filter_committable_offsets": ("dc5e9baf5d994485", "commits come from _new_offset alone"),
    CONSUMER + "_commit_offsets": ("1a69799041188441", "only what is still assigned is committed"),
    CONSUMER + "commit": ("a354437baaa08bf8", "False when it only waited for another one"),
    CONSUMER + "on_stop": ("45b1d2210ce2b526", "a stop commits nothing but our positions"),
    CONSUMER + "perform_seek": ("0e8c130ff4b0afd8", "begins our epoch by seek_to_committed"),
    CONSUMER + "stop_flow": ("cf7e875a2b0d40e8", "flow_active is off from a rebalance's start to perform_seek"),
    CONSUMER + "resume_flow": ("db59630f25b5819b", "and on after it"),
    CONSUMER + "on_partitions_revoked": ("d04b7ae72c6fc206", "awaits the app, which lets chunks in hand end"),
    THREADED + "_commit": ("a20eec84e4b2ed50", "False when the broker refused; what it took is noted in our positions"),
    THREADED + "_getmany": ("f9d47aa9010b5ff2", "our _getmany leaves out what may not be fetched"),
    THREADED + "seek_to_committed": ("f1d483b861b0328b", "our epoch begins with what it returns"),
    THREADED + "seek_wait": ("e9db5bbc4ceb2543", "seeks at once, on our loop"),
    THREADED + "threadsafe_partitions_revoked": ("6c55d67e9eb06ca5", "the client waits for the chunks in hand"),
    DRIVER + "ConsumerRebalanceListener": ("f3d04f29dfb3f716", "a rebalance tells the app before it joins again"),
    DRIVER + "Consumer._to_message": ("7c24f6511b2fcef7", "a message whose value we replace by a chunk"),
    DRIVER + "AIOKafkaConsumerThread._seek_wait": ("9d221e816d940467", "a seek is done when it returns"),
    DRIVER + "AIOKafkaConsumerThread._fetch_records": ("39a2c6c79fc1455a", "only active partitions are fetched"),
    DRIVER + "AIOKafkaConsumerThread._commit": ("932852ce7a23f658", "commits of a lost generation fail, not crash"),
    DRIVER + "Consumer._new_consumer_thread": ("0870ec53dea75083", "ours: the same, of our class"),
    DRIVER + "AIOKafkaConsumerThread._create_worker_consumer": (
        "c2701bfc3e6f6cad",
        "fetches that wait less",
    ),
    DRIVER + "AIOKafkaConsumerThread.on_start": (
        "38b4e8bd1e10723a",
        "after it there is a coordinator",
    ),
    THREAD + "ServiceThread.start": (
        "f11841038a033a05",
        "ours: `Worker` may be a task, and `thread_loop` our own loop",
    ),
    THREAD + "ServiceThread.stop": ("32d026539c3665b2", "the thread is stopped once the service has shut down"),
    THREAD + "ServiceThread._serve": ("67809eae09573ac7", "serves until it is stopped, then shuts down"),
    THREAD + "ServiceThread._shutdown_thread": (
        "d7377862e73421a2",
        "leaves the group before it says that it has shut down",
    ),
    THREAD + "ServiceThread._gather_remaining_tasks": (
        "6f65b92dd1012485",
        "ours: nothing, where it would end all tasks of the loop",
    ),
    THREAD + "MethodQueue._process_enqueued": ("d88a086d148c8012", "what is called may be a coroutine or not"),
    DRIVER + "AIOKafkaConsumerThread.getmany": ("26fc5fc9f3b667e1", "ours: the same, and the intake closes"),
    THREAD + "QueueServiceThread.call_thread": ("479edda75b54734b", "ours: the same, without a thread"),
    THREAD + "WorkerThread.stop": ("c80d8f1597fa362c", "ours: not to wait, on the loop it would wait for"),
    COORDINATOR + "reset_generation": ("537aa37c531b4de9", "called when the group does not know us, and at a close"),
    COORDINATOR + "_push_error_to_user": ("743ff515bd7e2e38", "what failed is kept for a call nobody makes"),
    RECOVERY + "_slurp_changelogs.fun": ("7825c7e50f766d5a", "a record that is applied already may end a recovery"),
    RECOVERY + "on_rebalance": ("aa4d997a1795ceae", "offsets are kept or forgotten with the partitions"),
    RECOVERY + "_restart_recovery.fun": ("6bd8a8558a2dffe4", "seeks to the offsets noted, with the flow stopped"),
    "faust.transport.conductor:ConductorCompiler.build": ("837cf521368c1ee4", "one queue, in order, for each agent"),
    APP + "_on_partitions_revoked": ("d5c895bbe57dc73a", "_consumer_wait_empty is awaited with the flow stopped"),
    APP + "_on_partitions_assigned": ("de932b7927db85b3", "recovery follows, and perform_seek after it"),
    APP + "_stop_consumer": ("55854a5de12c3f52", "a stop awaits _consumer_wait_empty before it leaves the group"),
    APP + "_consumer_wait_empty": ("6bc313c48c064b16", "ours: finish the chunks in hand, then commit"),
    APP + "_new_transport": ("42db531312dd776f", "ours: the transport with our consumer"),
    APP + "on_stop": ("bfe5a933defb2324", "_stop_consumer comes first"),
    RECOVERY + "_resume_streams": ("d986a6710c1aca98", "perform_seek before the flow resumes"),
    RECOVERY + "on_recovery_completed": (
        "6ef567acf072e46d",
        "perform_seek before the flow resumes",
    ),
    "faust.tables.recovery:Recovery._build_highwaters": (
        "91b4cc0d3724ae7b",
        "take_over: the last offsets of changelogs, before anything is read",
    ),
    "faust.tables.recovery:Recovery._build_offsets": ("27eec86be06cb51f", "recovery begins where our account ends"),
    "faust.tables.base:Collection.apply_changelog_batch": ("b980a78d3ae9b1e8", "recovery reads raw keys and values"),
    "faust.tables.base:Collection.persisted_offset": ("d473d3ab3fd6f036", "asked at every rebalance"),
    "faust.tables.base:Collection.on_recovery_completed": (
        "b1526fb39ea0e77e",
        "told what is ours and what is followed",
    ),
    RECOVERY + "_add": ("1584a197b11bf835", "what a table knows goes before Faust's account"),
    "faust.assignor.copartitioned_assignor:CopartitionedAssignor": (
        "71f50fd84ef06b98",
        "whoever follows a partition takes it over",
    ),
    "faust.streams:Stream.noack": ("921a6f5c674d32d4", "agents acknowledge nothing"),
    "aiokafka.consumer.consumer:AIOKafkaConsumer.seek": ("a9430f1f3b9ac419", "drops what was fetched for elsewhere"),
    "aiokafka.consumer.consumer:AIOKafkaConsumer.seek_to_committed": ("f6cd85c8b70a4ccf", "None where none"),
    "aiokafka.consumer.fetcher:Fetcher._get_actions_per_node": (
        "1dab2cf937d165d0",
        "requests first; one a node at a time; see pacing.py",
    ),
    "aiokafka.consumer.fetcher:Fetcher._fetch_requests_routine": (
        "2a8ec5932644c9b0",
        "waits for any future that it is told of",
    ),
    "aiokafka.protocol.fetch:FetchRequest": ("ef21d383f1372a25", "made again with fewer topics"),
    "aiokafka.consumer.fetcher:Fetcher.fetched_records": ("be4348896b9b66af", "in order, nothing left out"),
    "aiokafka.producer.producer:AIOKafkaProducer.send": ("08ce81263f439838", "sizes refused before a batch is made"),
    "aiokafka.producer.sender:SendProduceReqHandler": ("708c9da866caf440", "idempotent batches are tried for ever"),
    "aiokafka.partitioner:DefaultPartitioner": ("37af0b3aa6871f16", "partitions are the Java client's"),
    "aiokafka.partitioner:murmur2": ("62179ca184949379", "partitions are the Java client's"),
}
STREAM_ITERATOR = ("0041622f4a251188", "events of an older generation are skipped, one at a time otherwise")


def found(name: str) -> Any:
    module, _, path = name.partition(":")
    value: Any = importlib.import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return value


def digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def complaint(name: str, now: str, recheck: str) -> str:
    return f"{name} has changed upstream (now {now}). Re-check in stream_engine/streaming/consumer.py: {recheck}"


@pytest.mark.parametrize("name", UPSTREAM)
def test_what_we_rely_on_is_as_we_know_it(name: str) -> None:
    known, recheck = UPSTREAM[name]
    now = digest(inspect.getsource(found(name)))
    assert now == known, complaint(name, now, recheck)


def test_the_compiled_stream_iterator_is_as_we_know_it() -> None:
    known, recheck = STREAM_ITERATOR
    now = digest(files("faust._cython").joinpath("streams.pyx").read_text())
    assert now == known, complaint("faust/_cython/streams.pyx", now, recheck)


def overrides() -> Iterator[tuple[type, str, Any]]:
    """Our class, the name, and the upstream definition it replaces."""
    for ours in (ChunkConsumer, ChunkApp, ChunkTransport, BytesTable, Member):
        for name, member in vars(ours).items():
            if not name.startswith("__") and inspect.isfunction(member):
                upstream = next((vars(base)[name] for base in ours.__mro__[1:] if name in vars(base)), None)
                if upstream is not None:
                    yield ours, name, upstream


OVERRIDES = {f"{ours.__name__}.{name}": (getattr(ours, name), upstream) for ours, name, upstream in overrides()}


def test_we_know_what_we_override() -> None:
    """A method added to ours that hides one of Faust's belongs into UPSTREAM too."""
    hashed = {found(name) for name in UPSTREAM if inspect.isfunction(found(name))}
    assert len(OVERRIDES) >= 8
    assert {name for name, (_, upstream) in OVERRIDES.items() if upstream not in hashed} == set()


@pytest.mark.parametrize("name", OVERRIDES)
def test_overrides_are_called_as_upstream_calls_them(name: str) -> None:
    ours, upstream = OVERRIDES[name]
    theirs = inspect.unwrap(upstream)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)
    assert inspect.isasyncgenfunction(ours) == inspect.isasyncgenfunction(theirs)


def test_the_fields_we_touch_are_there() -> None:
    assert {"_buffered_partitions", "flow_active"} <= set(inspect.get_annotations(Consumer))
