import pytest

from stream_engine.codec import decode_recommendation, encode_recommendation
from stream_engine.errors import PoisonEvent
from stream_engine.events import Models, Reason, Recommendation, RecommendedItem, Trigger

LIST = Recommendation(
    recommendation_id="r",
    user_id="u",
    generated_at=1.5,
    trigger=Trigger(None, "clicks", 0, 7),
    interactions=3,
    model=Models("e", "r"),
    items=(RecommendedItem("i", 1, 0.5, "similar", (Reason("similar_to", "j", 1.0),)),),
    degraded=("index",),
)


def test_what_we_write_we_read() -> None:
    assert decode_recommendation(encode_recommendation(LIST)) == LIST


def test_fields_of_later_versions_are_ignored() -> None:
    value = encode_recommendation(LIST).replace(b'"user_id"', b'"mood":"fine","user_id"')
    assert decode_recommendation(value) == LIST


@pytest.mark.parametrize(
    ("have", "instead", "field"),
    [
        (b'"user_id":"u",', b"", "user_id"),
        (b'"rank":1', b'"rank":"1"', "items[0].rank"),
        (b'"offset":7', b'"offset":7.5', "trigger.offset"),
        (b'"topic":"clicks",', b"", "trigger.topic"),
        (b'"degraded"', b'\xff"degraded"', "value"),
    ],
)
def test_wrong_fields_are_refused_by_name(have: bytes, instead: bytes, field: str) -> None:
    value = encode_recommendation(LIST)
    assert have in value
    with pytest.raises(PoisonEvent) as caught:
        decode_recommendation(value.replace(have, instead))
    assert caught.value.field == field


@pytest.mark.parametrize("value", [b"", b"null", b"[" * 99_999, b'{"x":' + b"[" * 99_999])
def test_values_that_are_no_list(value: bytes) -> None:
    with pytest.raises(PoisonEvent, match=r"^value: "):
        decode_recommendation(value)
