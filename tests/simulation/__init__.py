"""The streaming loop under a simulated broker: our real decisions, simulated time, chance from a seed.

What is real: `Positions`, `Lease`, `Guard`, `ChunkConsumer` with the parts of Faust's consumer it inherits, the clicks
stage, users' states and their bytes, the rule of recovery. What is modelled: the broker and its group coordinator
(broker.py, group.py), aiokafka in its own thread (kafka_thread.py), Faust's app and recovery (faust_app.py), processes
that freeze, die and come back (clock.py, worker.py).
"""
