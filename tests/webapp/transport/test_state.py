"""Addresses of the laboratory: what goes in comes out, exactly, and what is damaged says so."""

from __future__ import annotations

import math

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from webapp.transport import heat, packing, picture
from webapp.transport.packing import Points
from webapp.transport.state import LabState
from webapp.transport.templatetags.lab import hundredths, significant
from workers.inference import BadInput

KNOWN = {
    "solvers": [{"name": "sinkhorn", "parameters": [{"name": "epsilon"}, {"name": "relative"}]}],
    "costs": [{"name": "pnorm", "parameters": [{"name": "p"}]}],
}
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.integers(1, 5).flatmap(lambda d: st.lists(st.tuples(*[numbers] * d), min_size=1, max_size=20)),
    st.booleans(),
)
def test_any_points_survive_an_address(rows, weighted):
    points = Points(tuple(rows), tuple(float(at) for at in range(len(rows))) if weighted else None)
    text = packing.pack(points)
    assert packing.packed(text)
    again = packing.unpack(text, "source.points")
    assert again.rows == points.rows
    assert again.weights == points.weights


def test_drawn_points_are_short():
    rows = tuple((x / 1000, -x / 1000) for x in range(0, 2000, 4))
    text = packing.pack(Points(rows))
    assert text.startswith("2q.")
    assert len(text) < 5.4 * len(rows) + 4
    assert packing.unpack(text, "").rows == rows
    assert packing.pack(Points(())) == "2q."


@pytest.mark.parametrize(
    "text", ["2q.A", "2q.AAAA", "0q.AAAA", "2wf.AAAAAAAAAAAAAAAAAAAAAA", "1f.AAAAAAAA8H8", "2x.AAAA"]
)
def test_a_damaged_address_says_so(text):
    with pytest.raises(BadInput, match="damaged") as error:
        packing.unpack(text, "source.points")
    assert error.value.field == "source.points"


def test_points_as_lines():
    assert packing.in_lines(Points(((0.5, -1.0), (2.0, 0.25)))) == "0.5, -1\n2, 0.25"
    assert packing.in_lines(Points(((0.5, 1.0),), (3.0,))) == "x1, x2, weight\n0.5, 1, 3"


def test_a_state_survives_its_address():
    query = (
        "source=moons&source_n=9&source_seed=4&target=points&target_points=2q.AAAAAA&cost=pnorm&cost_p=3"
        "&solver=sinkhorn&epsilon=0.1&with=sinkhorn&with_epsilon=0.2&check=1"
    )
    state = LabState.read(QueryDict(query), KNOWN)
    assert LabState.read(QueryDict(state.query()[1:]), KNOWN) == state
    assert state.problem() == {
        "source": {"sample": "moons", "n": "9", "seed": "4"},
        "target": {"points": [[0.0, 0.0]], "weights": None},
        "cost": "pnorm",
        "cost_parameters": {"p": "3"},
        "solver": "sinkhorn",
        "parameters": {"epsilon": "0.1"},
        "against": {"solver": "sinkhorn", "parameters": {"epsilon": "0.2"}},
    }


def test_an_empty_state_has_nothing_to_solve():
    assert LabState.read(QueryDict(""), KNOWN).empty
    assert LabState.read(QueryDict("source=moons"), KNOWN).empty
    assert not LabState.read(QueryDict("source=moons&target=moons"), KNOWN).empty


def cloud(points):
    return {"points": points, "weights": [1 / len(points)] * len(points)}


@pytest.mark.parametrize("scale", [1e-6, 0.01, 1.0, 1e7])
@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_a_picture_holds_all_points_and_keeps_proportions(scale, shift):
    points = [[scale * (math.cos(at) + shift), scale * math.sin(at)] for at in range(12)]
    board = picture.board(cloud(points), cloud(points[:3]), [[0, 0, 1.0], [1, 1, 0.25]])
    for dot in (*board.source, *board.target):
        assert 0 <= dot.x <= picture.WIDTH
        assert 0 <= dot.y <= picture.HEIGHT
    assert board.lines[-1].strength > board.lines[0].strength
    assert 3 <= len(board.across) <= 12
    (ax, ay), (bx, by) = board.view.place(points[0]), board.view.place(points[4])
    drawn = math.dist((ax, ay), (bx, by))
    assert drawn == pytest.approx(board.view.scale * math.dist(points[0], points[4]), abs=0.2)


def test_a_picture_of_nothing_and_of_one_point():
    nowhere = {"points": [], "weights": []}
    assert picture.board(nowhere, nowhere).source == ()
    far = cloud([[1e6, 1e6]])
    dot = picture.board(far, nowhere).source[0]
    assert 0 < dot.x < picture.WIDTH


def test_a_large_cloud_says_how_many_points_are_not_drawn():
    points = [[0.0, 0.001 * at] for at in range(picture.MOST_POINTS + 7)]
    assert picture.board(cloud(points), cloud(points[:1])).left_out == 7


def test_a_heat_map_is_a_png_with_a_pixel_a_cell():
    import base64
    import struct
    import zlib

    content = base64.b64decode(heat.pictures([[0.0, 0.25], [1.0, 0.0], [0.0, 0.0]])["light"].split(",")[1])
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (2, 3)
    at = content.index(b"IDAT")
    size = struct.unpack(">I", content[at - 4 : at])[0]
    assert zlib.decompress(content[at + 4 : at + 4 + size]) == bytes([0, 0, 128, 0, 255, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0.0, "0"),
        (1204, "1,204"),
        (0.311157, "0.31116"),
        (-0.5, "−0.5"),
        (1.7e-9, "1.7 × 10⁻⁹"),
        (123456.7, "123,457"),
        (2.5e12, "2.5 × 10¹²"),
    ],
)
def test_numbers_are_written_for_people(value, text):
    assert significant(value) == text


def test_shares_are_never_rounded_to_all_or_nothing():
    assert [hundredths(share) for share in (0, 1, 0.5, 0.0001, 0.9999, 0.124)] == [
        *("0 %", "100 %", "50 %", "less than 0.1 %", "more than 99.9 %", "12.4 %")
    ]
