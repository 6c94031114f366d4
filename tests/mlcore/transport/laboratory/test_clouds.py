"""Clouds: samples, coordinates and files, and what is said of those that cannot be read."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from mlcore.runtime.errors import InputError, LimitError
from mlcore.transport.laboratory.clouds import Limits, make_cloud
from mlcore.transport.laboratory.samples import SAMPLES, sample
from mlcore.transport.pointfiles import read_points, read_text


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_sampled_clouds_are_finite_near_the_origin_and_repeatable(name):
    points = sample(name, 101, 7)
    assert points.shape == (101, 2)
    assert np.abs(points).max() < 3
    assert np.array_equal(points, sample(name, 101, 7))
    assert name == "grid" or not np.array_equal(points, sample(name, 101, 8))
    assert sample(name, 1, 0).shape == (1, 2)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_points_survive_every_kind_of_file(rng):
    points, weights = rng.normal(size=(8, 3)), rng.random(8)
    lines = "\n".join(
        ",".join(map(repr, [*row, w])) for row, w in zip(points.tolist(), weights.tolist(), strict=True)
    )
    for name, content, weighted in (
        ("a.npy", npy(points), False),
        ("a.npy", npy(points.astype(np.float32)), False),
        ("a.npz", npz(points=points, weights=weights), True),
        ("a.npz", npz(anything=points), False),
        ("a.npz", npz(source=points, target=points[:2], source_weights=weights), True),
        ("A.CSV", f"x1,x2,x3,weight\n{lines}\n".encode(), True),
        ("a.csv", f"\ufeff# drawn by hand\nx1;x2;x3;weight\n{lines.replace(',', ';')}\n".encode(), True),
    ):
        read, masses = read_points(name, content)
        assert np.allclose(read, points, atol=1e-6), name
        assert (masses is not None) == weighted
        if weighted:
            assert np.allclose(masses, weights)
    assert read_points("a.npy", npy(np.arange(4)))[0].shape == (4, 1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", b"", "empty"),
        ("a.npy", b"\x93NUMPY", "no .npy"),
        ("a.npy", b"not numpy at all", "no .npy"),
        ("a.npy", npy(np.zeros((9, 2)))[:-5], "cut off"),
        ("a.npy", npy(np.zeros((2, 2, 2))), "table"),
        ("a.npy", npy(np.zeros((0, 2))), "table"),
        ("a.npy", npy(np.array([object()])), "never read"),
        ("a.npy", npy(np.array(["a"])), "type"),
        ("a.npy", npy(np.ones((2, 2), complex)), "type"),
        ("a.npy", npy(np.zeros((2, 2))).replace(b"(2, 2), }", b"((((((((("), "no .npy"),
        ("a.npz", b"PK\x03\x04 and nothing", "damaged"),
        ("a.npz", npz(u=np.zeros((2, 2)), v=np.zeros((2, 2))), "no array called points"),
        ("a.csv", b"\xff\xfe\x00", "UTF-8"),
        ("a.csv", b"1,2\n3\n", "1 values where the lines above have 2"),
        ("a.csv", b"1,2\n3,nan\n", "not a number"),
        ("a.csv", b"x,y\n", "no point below"),
        ("a.csv", b"weight\n1\n", "no coordinates"),
        ("a.csv", b"# nothing\n", "no points"),
        ("a.exe", b"MZ", "not read"),
    ],
)
def test_files_that_cannot_be_read_say_why(name, content, words):
    with pytest.raises(InputError, match=words) as error:
        read_points(name, content)
    assert error.value.remedy


def test_a_header_that_announces_more_than_there_is_reserves_nothing():
    head = npy(np.zeros((2, 2)))
    lie = head.replace(b"(2, 2), }        ", b"(2000000000, 2), }")[: len(head)]
    with pytest.raises(InputError, match="announces"):
        read_points("a.npy", lie)


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("points.npy", npy(np.zeros((200, 2)))[:-8] + bytes(50_000_000))
    small = Limits(points=100, entries=100, dimension=2, file_bytes=10_000_000, seconds=1)
    with pytest.raises(LimitError, match="limit is 100"):
        make_cloud({"file": {"name": "a.npz", "content": stream.getvalue()}}, "source", small)


def test_a_bad_line_is_named_by_number():
    with pytest.raises(InputError) as error:
        read_text("x y\n1 2\n\n3 four\n")
    assert error.value.place == "line 4, column 2"
