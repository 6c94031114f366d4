"""The page of the laboratory, without scripts, in front of the real solvers."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from webapp.transport.examples import EXAMPLES

PAGE = "/transport/"
SAMPLED = "?source=moons&source_n=20&source_seed=1&target=ring&target_n=20&target_seed=2&solver=exact"


@pytest.fixture
def page(client, db):
    def fetch(address, status=200, **options):
        response = client.get(PAGE + address, follow=True, **options)
        assert response.status_code == status, response.content[:2000]
        return response.content.decode()

    return fetch


def number(text, name):
    """The first value of a row of the table of numbers."""
    row = re.search(rf'data-quantity="{name}".*?</tr>', text, re.DOTALL)[0]
    return re.search(r'<td class="num">(.*?)</td>', row)[1]


def test_the_first_page_shows_a_solved_example_and_all_examples(page):
    text = page("")
    assert 'data-status="converged"' in text
    assert text.count("<line ") == 560
    for example in EXAMPLES:
        assert example.title in text


def test_the_answers_of_the_examples_are_true(page):
    moons, grid, clusters, sparse, spiral = (page(example.query) for example in EXAMPLES)
    assert number(moons, "cost") == "0.35509"
    assert "0.30663" in moons
    assert "(15.8 %)" in moons
    assert number(grid, "cost") == "0.3125"
    assert float(number(clusters, "mass")) < 0.95
    assert number(sparse, "links_row") == "2"
    assert 'data-status="converged"' in sparse
    first, second = map(float, re.findall(r'class="small num">cost ([0-9.]+)<', spiral))
    assert 0 < first / second - 1 < 0.01


@pytest.mark.parametrize("solver", ["exact", "sinkhorn", "unbalanced", "ipot", "quadratic", "sparse"])
def test_every_solver_has_its_parameters_and_its_answer(page, solver):
    text = page(f"{SAMPLED[:-5]}{solver}")
    assert f'<option value="{solver}" selected>' in text
    assert 'data-quantity="cost"' in text
    assert "mlcore transport plan" in text


def test_links_of_the_points_are_counted(page):
    text = page(f"{SAMPLED[:-5]}sparse&k=1")
    assert "How many source points have how many links: 20 with 1" in text
    assert number(text, "links_row") == "1"
    assert number(text, "gamma") != "—"


def test_a_plan_that_was_not_found_is_not_praised(page):
    text = page(SAMPLED[:-5].replace("target_n=20", "target_n=30") + "sparse&k=1")
    assert 'data-status="stalled"' in text
    assert "20 rows with 1 link each reach 20 of 30 columns" in text
    assert "A larger k admits more plans" in text


def test_typed_points_get_a_short_address(client, db):
    response = client.get(
        PAGE,
        {"source": "points", "source_points": "0 0\n1 0", "target": "points", "target_points": "0,1\n1,1"},
    )
    assert response.status_code == 302
    assert "source_points=2q." in response.url
    text = client.get(response.url).content.decode()
    assert number(text, "cost") != "—"
    assert ">0, 0\n1, 0</textarea>" in text


def test_weights_and_high_dimensions_survive_the_address(client, db):
    lines = "a,b,c,weight\n0.1,0.2,0.3,2\n1e-7,5,6,0.5"
    response = client.get(
        PAGE,
        {"source": "points", "source_points": lines, "target": "points", "target_points": "1 2 3\n"},
        follow=True,
    )
    text = response.content.decode()
    assert "x1, x2, x3, weight\n0.1, 0.2, 0.3, 2\n1e-07, 5, 6, 0.5" in text
    assert "the drawing shows the first two" in text
    assert "The weights sum to 2.5 and 1" in text


def test_empty_boards_invite(page):
    text = page("?source=points&target=points")
    assert "Draw at least one source point" in text
    assert "<line " not in text


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("&epsilon=soft&solver=sinkhorn", "Give a number"),
        ("&solver=magic", "no solver called"),
        ("&cost=magic", "no ground cost called"),
        ("&source_n=many", "not a whole number"),
        ("&source_n=99999999", "the limit is 4,000"),
        ("&source_seed=-4", "seed"),
        ("&source_dx=left", "two numbers"),
        ("&source=cheese", "no sampled cloud"),
        ("&source=points&source_points=2q.AAA", "damaged or cut off"),
        ("&source=points&source_points=one,two%0Athree", "values where the lines above"),
        ("&with=magic", "no solver called"),
        ("&source_n=4000&target_n=4000", "16,000,000"),
        ("&source=points&source_points=1,2,3%0A4,5,6", "coordinates"),
    ],
)
def test_bad_input_keeps_the_page_and_says_what_to_do(page, address, words):
    query = SAMPLED + address
    pairs = dict(pair.split("=", 1) for pair in query[1:].split("&"))
    text = page("?" + "&".join(f"{name}={value}" for name, value in pairs.items()), 422)
    assert words in text
    assert "That cannot be solved" in text
    assert 'id="lab-form"' in text
    assert "Traceback" not in text


def npy(points):
    stream = io.BytesIO()
    np.save(stream, points)
    return stream.getvalue()


def test_uploads_are_read_and_get_an_address_where_one_can_hold_them(client, db):
    small = SimpleUploadedFile("a.npy", npy(np.zeros((3, 2))))
    response = client.post(PAGE, {"source_file": small, "target": "ring", "target_n": "5", "solver": "exact"})
    assert response.status_code == 302
    assert "source=points" in response.url
    large = SimpleUploadedFile("a.npy", npy(np.random.default_rng(0).normal(size=(500, 2))))
    response = client.post(PAGE, {"source_file": large, "target": "ring", "target_n": "5", "solver": "exact"})
    assert response.status_code == 200
    assert "Too large for an address" in response.content.decode()


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY\x01\x00v", npy(np.array([object()])), npy(np.ones((2, 2, 2)))]
)
def test_bad_uploads_are_refused_in_words(client, db, content):
    file = SimpleUploadedFile("a.npy", content)
    response = client.post(PAGE, {"source_file": file, "target": "ring", "solver": "exact"})
    assert response.status_code == 422
    assert "That cannot be solved" in response.content.decode()


def test_htmx_gets_the_inside_and_the_address(client, db):
    response = client.post(
        PAGE, {"source": "grid", "target": "ring", "solver": "exact"}, headers={"HX-Request": "true"}
    )
    assert response.headers["HX-Push-Url"].startswith("/transport/?source=grid&")
    assert "<html" not in response.content.decode()


@pytest.mark.parametrize("kind", ["links.csv", "plan.npy", "plan.npz", "problem.npz"])
def test_files_are_sent_as_downloads(client, db, kind):
    response = client.get(f"{PAGE}files/{kind}{SAMPLED}")
    assert response.status_code == 200
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert len(response.content) > 100


def test_a_sweep_is_a_page_of_its_own_and_a_section(client, db):
    whole = client.get(f"{PAGE}sweep/{SAMPLED}").content.decode()
    assert whole.count("converged") >= 5
    assert "Back to the laboratory" in whole
    part = client.get(f"{PAGE}sweep/{SAMPLED}", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert client.get(f"{PAGE}sweep/?source=cheese&target=ring").status_code == 422


def test_a_file_that_does_not_exist_or_has_no_problem_is_refused(client, db):
    assert client.get(f"{PAGE}files/plan.pkl{SAMPLED}").status_code == 422
    assert client.get(f"{PAGE}files/plan.npy").status_code == 422


def test_the_page_shows_what_is_sent_to_other_programs(page):
    text = page(SAMPLED)
    assert "/api/v1/transport/plan/" in text
    assert "--source moons:20:1" in text
    assert "ot.emd(a, b, C)" in text


def test_the_permanent_link_leaves_nothing_to_defaults(page):
    text = page("?source=moons&target=ring&solver=sinkhorn&with=unbalanced&cost=pnorm")
    link = re.search(r'<pre id="lab-link">(.*?)</pre>', text)[1].replace("&amp;", "&")
    for part in (
        "source_n=60",
        "target_seed=0",
        "epsilon=0.05",
        "relative=mean",
        "max_iterations=5000",
        "cost_p=1",
    ):
        assert part in link
    assert "with_rho_b=1" in link
    again = page(link[link.index("?") :])
    assert number(again, "cost") == number(text, "cost")
    assert re.search(r'<pre id="lab-link">(.*?)</pre>', again)[1].replace("&amp;", "&") == link


def test_a_true_minus_is_a_minus(page):
    assert ">-0.5, 1</textarea>" in page("?source=points&source_points=−0.5 1%0A&target=ring")


def test_what_is_typed_is_never_markup(page):
    text = page("?source=%3Cscript%3E&target=ring&solver=%3Cb%3E", 422)
    assert "<script>" not in text
    assert "<b>" not in text
