"""The stand-in: no model, yet alike texts come out alike."""

import numpy as np

from stream_engine.encoder.hashed import HashedEncoder


async def test_alike_texts_are_nearer_than_others():
    texts = ["red running shoe", "blue running shoes", "whole milk, one gallon"]
    red, blue, milk = await HashedEncoder().encode(texts)
    assert red @ blue > 0.5
    assert red @ milk < 0.2


async def test_case_and_order_have_no_say():
    rows = await HashedEncoder().encode(["Red Shoe", "shoe red"])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)


async def test_the_same_on_every_machine():
    """Stored vectors outlive the process: a change here needs another fingerprint."""
    rows = await HashedEncoder(8).encode(["red shoe"])
    np.testing.assert_allclose(rows[0], [0.27735, 0, 0.5547, -0.27735, 0.5547, 0, 0.27735, 0.39223], atol=1e-4)
