"""A frontier over shards: the point moves along the curve, the server is a second adversary, and a strip says who sees what."""

import math
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from synthetic import ACCURACY, GRID, NOISE, gaussian_frontier, sharded_frontier

from privlab.plots import allowed_and_achieved, dashboard, describe
from privlab.plots import frontier as frontier_figure
from privlab.plots.leakage_scenes import CurveScene, FrontierScene
from privlab.plots.leakage_trust import TrustScene
from privlab.plots.style import ALLOWED, BLUE, GREEN, VERMILLION, figure, styled


@pytest.fixture(scope="module")
def frontier():
    return sharded_frontier()


def scene(kind, frontier):
    with styled():
        return kind(figure(8, 4).subplots(), frontier)


def point(frontier, trust, shards, noise):
    (found,) = (p for p in frontier.points if (p.trust, p.shards, p.noise_multiplier) == (trust, shards, noise))
    return found


def accuracy(noise):
    return 100 * ACCURACY[NOISE.index(noise)]


def test_one_place_and_one_label_for_each_noise_in_the_sum(frontier):
    drawn = scene(FrontierScene, frontier)
    drawn.update("LiRA online", 0.01, None)
    (private, line), (bare, _) = drawn.lines
    assert (private.sum(), bare.sum()) == (5, 1)
    np.testing.assert_allclose(line.get_xdata(), [accuracy(noise) for noise in (0.5, 1, 2, 4, 8)])
    assert len({label.get_text() for label in drawn.labels}) == len(drawn.labels) == 6


@pytest.mark.parametrize(
    ("trust", "shards", "noise", "way", "server"),
    [
        ("central", 4, 2, (2,), "everything"),
        ("secure-sum", 4, 2, (2,), "everything"),
        ("local", 1, 2, (2,), 2),
        ("local", 4, 2, (2, 4), 2),
        ("local", 4, 4, (4, 8), 4),
        ("local", 4, 0, (0,), "everything"),
    ],
)
def test_the_ring_moves_by_the_shards_own_noise_and_the_servers_bound_stays(
    frontier, trust, shards, noise, way, server
):
    drawn = scene(FrontierScene, frontier)
    drawn.update("RMIA", 0.05, point(frontier, trust, shards, noise))
    np.testing.assert_allclose(drawn.way.get_xdata(), [accuracy(stop) for stop in way])
    np.testing.assert_allclose(drawn.ring.get_xdata(), [accuracy(way[-1])])
    bound = 1 if server == "everything" else np.interp(0.05, GRID, point(frontier, "central", 1, server).allowed)
    np.testing.assert_allclose(drawn.server.get_xydata()[1], [accuracy(way[-1]), bound])


def test_the_region_is_the_models_and_the_line_above_it_the_servers(frontier):
    curves, chosen, n = scene(CurveScene, frontier), point(frontier, "local", 4, 2), len(GRID)
    curves.update("LiRA online", 0.01, chosen)
    model = point(frontier, "central", 1, 4)
    np.testing.assert_allclose(curves.region.get_xy()[n : 2 * n, 1][::-1], model.allowed)
    np.testing.assert_allclose(curves.server.get_ydata(), chosen.allowed)
    assert (curves.server.get_ydata() >= np.array(model.allowed)).all()
    curves.update("LiRA online", 0.01, model)
    np.testing.assert_allclose(curves.server.get_ydata(), np.ones(n))
    assert curves.title.get_text().endswith("the server 100 %")


def test_the_strip_says_who_sees_what(frontier):
    strip = scene(TrustScene, frontier)
    strip.update("LiRA online", 0.01, point(frontier, "local", 4, 2))
    words = [[text.get_text() for text in column] for column in strip.words]
    records, drawn = (round(share * 86_208 / 64 / 2 / 4) for share in (1, 0.3))
    assert words == [
        [
            f"4 shards, each with about {records} records",
            "",
            f"each sends the sum of about {drawn} gradients + noise 2",
        ],
        ["the server adds up", "sees 4 noisy sums", "ε = 4.0"],
        ["the released model", "noise 2·√4 = 4", "ε = 1.8"],
    ]
    assert len(strip.walls.get_segments()) == 3
    strip.update("LiRA online", 0.01, point(frontier, "central", 4, 2))
    words = [[text.get_text() for text in column] for column in strip.words]
    assert words[0][2] == f"each sends the sum of about {drawn} gradients"
    assert words[1] == ["the server adds up + noise 2", "sees 4 clear sums", "must be trusted"]
    assert words[2][1:] == ["noise 2", "ε = 4.0"]
    strip.update("LiRA online", 0.01, point(frontier, "secure-sum", 4, 2))
    words = [[text.get_text() for text in column] for column in strip.words]
    assert words[0][2] == f"each sends the sum of about {drawn} gradients + masks"
    assert words[1] == ["the server adds up + noise 2", "sees the total only", "must be trusted with it"]
    assert words[2][1:] == ["noise 2", "ε = 4.0"]
    strip.update("LiRA online", 0.01, point(frontier, "secure-sum", 1, 2))
    words = [[text.get_text() for text in column] for column in strip.words]
    assert words[0][2].endswith("gradients, unmasked")  # the total of one shard is its sum
    assert words[1][1:] == ["sees 1 clear sum", "must be trusted"]


LOOKS = {"noisy": (BLUE, ALLOWED, "-"), "masked": (GREEN, "white", ":"), "clear": (VERMILLION, "white", "--")}


@pytest.mark.parametrize(
    ("trust", "shards", "noise", "looks"),
    [
        ("central", 4, 2, ("clear", "clear", "noisy")),
        ("secure-sum", 4, 2, ("masked", "clear", "noisy")),
        ("secure-sum", 4, 0, ("masked", "clear", "clear")),
        ("secure-sum", 1, 2, ("clear", "clear", "noisy")),
        ("local", 4, 2, ("noisy", "noisy", "noisy")),
        ("local", 4, 0, ("clear", "clear", "clear")),
    ],
)
def test_each_way_to_be_seen_has_its_own_colour_and_line(frontier, trust, shards, noise, looks):
    strip = scene(TrustScene, frontier)
    strip.update("LiRA online", 0.01, point(frontier, "secure-sum", 4, 2))  # leaves nothing behind
    strip.update("LiRA online", 0.01, point(frontier, trust, shards, noise))
    for box, look in zip(strip.boxes, looks, strict=True):
        colour, tint, dashes = LOOKS[look]
        assert box.get_edgecolor()[:3] == pytest.approx(to_rgb(colour))
        assert box.get_facecolor()[:3] == pytest.approx(to_rgb(tint))
        assert box.get_linestyle() in (dashes, {"-": "solid", "--": "dashed", ":": "dotted"}[dashes])
        assert bool(box.get_hatch()) == (look == "masked")
    for arrow, look in zip(strip.arrows, looks[::2], strict=True):  # what a shard sends looks as the shard does
        assert to_rgb(arrow.get_color()) == pytest.approx(to_rgb(LOOKS[look][0]))


def test_words_of_the_strip_stay_inside_the_picture_and_apart(frontier):
    for chosen in frontier.points:
        picture, axes = dashboard(frontier, chosen)
        texts = [text for text in axes[2].texts if text.get_text()]
        boxes = [text.get_window_extent() for text in texts]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        assert all(picture.bbox.x0 <= box.x0 and box.x1 <= picture.bbox.x1 for box in boxes)


def test_only_a_frontier_of_several_settings_has_strip_server_and_longer_legend(frontier):
    for given, charts, entries in ((gaussian_frontier(), 2, 3), (frontier, 3, 5)):
        picture, axes = dashboard(given)
        assert len(axes) == charts
        assert len(picture.legends[0].get_texts()) == entries
        extent = picture.legends[0].get_window_extent()
        assert extent.x0 >= 0
        assert extent.x1 <= picture.bbox.x1
        assert len(frontier_figure(given)[0].legends[0].get_texts()) == entries
        assert len(allowed_and_achieved(given, given.points[1])[0].legends[0].get_texts()) == entries


def test_the_words_name_who_adds_noise_and_both_guarantees(frontier):
    local, central, secure = (describe(frontier, point(frontier, t, 4, 2)) for t in ("local", "central", "secure-sum"))
    assert local.startswith("4 shards, noise 2 in each: ε = 4.0 (model alone: 1.8), accuracy 85.8 %, ")
    assert central.startswith("4 shards, noise 2 by a trusted server: ε = 4.0, accuracy 91.3 %, ")
    assert secure == central.replace("a trusted server", "a server that sees the total")
    allowed = 100 * np.interp(0.01, GRID, point(frontier, "central", 1, 4).allowed)
    assert math.isclose(float(re.search(r"allowed: ([\d.]+) %", local)[1]), allowed, abs_tol=0.06)
    assert "no privacy, accuracy" in describe(frontier, point(frontier, "local", 4, 0))
