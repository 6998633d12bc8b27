"""The main experiment in pictures: what noise costs in accuracy, and what an attack still finds.

Both pictures speak one language: blue is the attack on a private model, vermillion the same attack without privacy,
shading what the guarantee allows, dots the coin flip.
"""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from privlab.arguments import choice, real
from privlab.leakage.frontier import Frontier, FrontierPoint
from privlab.plots.leakage_scenes import CurveScene, FrontierScene, attacks_of, rate_at, spread
from privlab.plots.leakage_trust import TrustScene
from privlab.plots.live import Picture
from privlab.plots.style import (
    ALLOWED,
    BLUE,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    epsilon_text,
    figure,
    legend_below,
    percent,
    styled,
)


def describe(
    frontier: Frontier, point: FrontierPoint, *, attack: str = "LiRA online", false_positive_rate: float = 0.01
) -> str:
    """One sentence with a point's figures: the caption of the pictures, and their alternative text.

    Raises
    ------
    ValueError
        As `frontier`.

    >>> from privlab.leakage.frontier import AttackResult
    >>> roc = AttackResult(0.6, 0.2, (0.014, 0.2, 1.0), (0.01, 0.18, 1.0), (0.02, 0.22, 1.0))
    >>> allowed = (0.41, 0.9, 1.0)
    >>> figures = (11.2, 1e-4, 0.921, 0.01, 0.6, 0.014, 0.0, allowed, {"RMIA": roc}, 11.2, allowed)
    >>> point = FrontierPoint(1.0, 1, "central", *figures)
    >>> describe(Frontier("digits", 64, 80_000, (0.01, 0.1, 1.0), (point,)), point, attack="RMIA")
    'noise 1: ε = 11.2, accuracy 92.1 %, RMIA finds 1.4 % of members at 1 % false alarms (allowed: 41 %)'
    """
    _check(frontier, attack, false_positive_rate, point)
    found = rate_at(frontier, point.attacks[attack].true_positive_rates, false_positive_rate)
    allowed = f"allowed: {percent(rate_at(frontier, point.model_allowed, false_positive_rate))}"
    verdict = allowed if math.isfinite(point.epsilon) else "nothing is ruled out"
    return (
        f"{_setting(frontier, point)}, accuracy {percent(point.accuracy)}, {attack} finds {percent(found)} of members "
        f"at {percent(false_positive_rate)} false alarms ({verdict})"
    )


def _setting(frontier: Frontier, point: FrontierPoint) -> str:
    """Noise and guarantee; over several shards or trusts, also who adds the noise and whom the guarantee covers."""
    noise, bound = f"noise {point.noise_multiplier:g}", epsilon_text(point.epsilon, decimals=1)
    if not spread(frontier):
        return f"{noise}: {bound}"
    place = f"{point.shards} shard{'s' * (point.shards > 1)}, {noise}"
    if point.trust != "local":
        server = "a trusted server" if point.trust == "central" else "a server that sees the total"
        return f"{place} by {server}: {bound}"
    alone = f" (model alone: {point.model_epsilon:.2g})" if math.isfinite(point.epsilon) else ""
    return f"{place} in each: {bound}{alone}"


def frontier(
    frontier: Frontier,
    *,
    attack: str = "LiRA online",
    false_positive_rate: float = 0.01,
    highlight: FrontierPoint | None = None,
) -> tuple[Figure, Axes]:
    """Leakage against accuracy: one point per setting, with 95 % intervals both ways.

    Parameters
    ----------
    frontier : Frontier
        The results.
    attack : str
        One of the frontier's attacks.
    false_positive_rate : float
        Where on the ROC curves the true-positive rates are read, inside the frontier's grid.
    highlight : FrontierPoint, optional
        A point of the frontier to be ringed.

    Raises
    ------
    ValueError
        If the attack, the rate or the point is not the frontier's.
    """
    _check(frontier, attack, false_positive_rate, highlight)
    return _single(FrontierScene, frontier).still(attack, false_positive_rate, highlight)


def allowed_and_achieved(
    frontier: Frontier, point: FrontierPoint, *, attack: str = "LiRA online", false_positive_rate: float = 0.01
) -> tuple[Figure, Axes]:
    """One point's measured ROC curve inside the region that its guarantee allows, on logarithmic axes.

    The region is that of hypothesis testing (Kairouz, Oh and Viswanath 2015, theorem 2.1; Dong, Roth and Su 2022,
    section 2) for the accountant's whole privacy profile; above it no attack can get. The same attack on the model
    without privacy is drawn for comparison where the frontier has one.

    Parameters
    ----------
    frontier : Frontier
        The results.
    point : FrontierPoint
        One of its points.
    attack, false_positive_rate
        As in `frontier`; the rate is marked by an upright line.

    Raises
    ------
    ValueError
        If the attack, the rate or the point is not the frontier's.
    """
    _check(frontier, attack, false_positive_rate, point)
    return _single(CurveScene, frontier).still(attack, false_positive_rate, point)


def dashboard(
    frontier: Frontier,
    point: FrontierPoint | None = None,
    *,
    attack: str = "LiRA online",
    false_positive_rate: float = 0.01,
) -> tuple[Figure, tuple[Axes, Axes]]:
    """`frontier` and `allowed_and_achieved` side by side: the still twin of `privlab.widgets.dashboard`.

    Parameters are those of the two; `point` is `default_point(frontier)` unless given.
    """
    point = default_point(frontier) if point is None else point
    _check(frontier, attack, false_positive_rate, point)
    return dashboard_picture(frontier).still(attack, false_positive_rate, point)


@styled()
def dashboard_picture(frontier: Frontier) -> Picture:
    """The dashboard with nothing chosen yet; a setting is an attack, a false-positive rate and a point.

    Over several shards or trusts, a strip above the charts shows who sees what.
    """
    height = 5.6 if spread(frontier) else 4.3
    picture = figure(8.4, height)

    def axes(left: float, bottom: float, width: float, inches: float) -> Axes:
        return picture.add_axes((left, bottom / height, width, inches / height))

    base = 1.06 if spread(frontier) else 0.8815
    scenes: list[Any] = [
        FrontierScene(axes(0.088, base, 0.385, 3.1175), frontier),
        CurveScene(axes(0.584, base, 0.385, 3.1175), frontier),
    ]
    if spread(frontier):
        scenes.append(TrustScene(axes(0.02, 4.55, 0.96, 1.0), frontier))
    _legend(picture, frontier, columns=2 if spread(frontier) else 3)
    return Picture(picture, *scenes)


@styled()
def _single(scene: type[FrontierScene] | type[CurveScene], frontier: Frontier) -> Picture:
    picture = figure(5.6, 4.8)
    _legend(picture, frontier, columns=1)
    return Picture(picture, scene(picture.add_axes((0.145, 0.255, 0.805, 0.69)), frontier))


def default_point(frontier: Frontier) -> FrontierPoint:
    """The point to show first: the private one whose noise multiplier is nearest to 1, else the first."""
    private = [point for point in frontier.points if math.isfinite(point.epsilon)]
    return min(private, key=lambda point: abs(math.log(point.noise_multiplier)), default=frontier.points[0])


def _legend(picture: Figure, frontier: Frontier, *, columns: int) -> None:
    seen = "to those who see only the model" if spread(frontier) else "by the guarantee"
    allowed = f"allowed {seen}; above is impossible"
    entries = {
        "attack on the private model (95 % interval)": Line2D([], [], color=BLUE, marker="o", mec="white"),
        "without privacy": Line2D([], [], color=VERMILLION, ls="--", marker="s", mfc="white", mew=1.8),
        allowed: allowed_handle(),
    }
    if spread(frontier):
        entries |= {
            "allowed to the server": Line2D([], [], color=PURPLE, ls="-.", marker="D", mfc="white", mew=1.6),
            "the way from 1 shard, by each shard's own noise": Line2D([], [], color=ORANGE, lw=6, alpha=0.55),
        }
    legend_below(picture, entries, ncols=columns, fontsize=8.5, columnspacing=1.5, borderaxespad=0.1, labelspacing=0.25)


def allowed_handle() -> tuple[Patch, Line2D]:
    """The region that a guarantee allows, with the mark at its upper end, for a legend."""
    return Patch(color=ALLOWED), Line2D([], [], ls="", marker="v", mfc=ALLOWED, mec=SKY)


def _check(frontier: Frontier, attack: str, false_positive_rate: float, point: FrontierPoint | None) -> None:
    choice("attack", attack, attacks_of(frontier))
    grid = frontier.false_positive_rates
    real("false_positive_rate", false_positive_rate, at_least=grid[0], at_most=grid[-1])
    if point is not None and point not in frontier.points:
        noise = getattr(point, "noise_multiplier", point)
        raise ValueError(f"point has noise multiplier {noise!r}, but must be one of frontier.points")
