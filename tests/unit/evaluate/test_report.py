from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from stream_engine.evaluate.chart import line_chart
from stream_engine.evaluate.report import report_of
from stream_engine.evaluate.tally import Asked, Tally, curves, figures

SVG = "{http://www.w3.org/2000/svg}"


def asked(offset, place, *, trending=None, cold=False, new=False):
    return Asked(
        offset=offset,
        place=place,
        with_slot=10 if cold else place,
        without_slot=place,
        baselines={"trending": trending},
        sources={"together": place is not None, "bridge": False},
        listed=("a", "b"),
        surprise=3.0,
        new_user=new,
        cold_item=cold,
    )


@pytest.fixture
def tally():
    sample = [asked(90, 1, trending=4), asked(91, None), asked(92, 12, new=True), asked(99, None, cold=True)]
    return Tally(sample=sample, cold=[sample[3]], every=[asked(3, 2), *sample])


def test_figures_by_hand(tally):
    result = figures(tally, catalogue=8)
    assert (result["tested"], result["hr@10"], result["hr@20"]) == (4, 0.25, 0.5)
    assert result["coverage"] == 0.25
    assert result["sources"] == {"all": 0.5, "together": 0.5, "bridge": 0.0}
    assert result["baselines"]["trending"]["hr@10"] == 0.25
    slices = result["slices"]
    assert (slices["cold_items"]["n"], slices["cold_items"]["hr@10"]) == (1, 0.0)
    assert (slices["warm_items"]["n"], slices["warm_items"]["hr@20"]) == (3, round(2 / 3, 6))
    assert (slices["new_users"]["n"], slices["new_users"]["hr@20"]) == (1, 1.0)
    assert slices["all"]["novelty"] == 3.0
    assert slices["cold_items_with_slot"]["hr@10"] == 1.0
    assert slices["cold_items_without_slot"]["hr@10"] == 0.0
    assert slices["all_with_slot"]["hr@10"] == 0.5


def test_curves_are_by_stretch_of_the_log(tally):
    drawn = curves(tally, length=100)
    assert drawn["engine"] == [(0.025, 1.0), (0.925, pytest.approx(1 / 3)), (0.975, 0.0)]
    assert drawn["trending"][0] == (0.025, 0.0)


def test_a_chart_is_well_formed_and_to_scale():
    chart = ET.fromstring(line_chart({"<engine>": [(0.0, 0.0), (1.0, 0.2)]}, across="log", up="HR@10"))
    points = chart.find(f"{SVG}polyline").get("points")
    (x0, y0), (x1, y1) = ([float(each) for each in pair.split(",")] for pair in points.split())
    assert x0 < x1
    assert y0 > y1  # up is smaller
    assert any(text.text == "<engine>" for text in chart.iter(f"{SVG}text"))


def test_a_chart_of_nothing_is_drawn():
    assert ET.fromstring(line_chart({}, across="log", up="HR@10")) is not None


def test_one_file_that_needs_nothing_else(tally):
    result = figures(tally, catalogue=8) | {"events": 100, "us_per_click": 1.0, "peak_rss_mb": 2.0, "seconds": 3.0}
    parts = {"bridge": {"hr@10": 0.125, "ndcg@10": 0.1}}
    page = report_of(result, curves(tally, length=100), title="a <log>", parts=parts)
    assert "<title>a &lt;log&gt;</title>" in page
    assert "0.1250" in page
    assert not re.findall(r"(?:src|href)=|url\(|@import", page)
    assert "<svg" in page
