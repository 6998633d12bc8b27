"""Epsilon and noise by dp-accounting and prv-accountant; run by `benchmarks.accountant` in the peers' environment."""

import logging
import time
import warnings
from functools import partial

from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.mechanism_calibration import ExplicitBracketInterval, calibrate_dp_mechanism
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from prv_accountant.dpsgd import DPSGDAccountant

from benchmarks.peers import serve

ACCOUNTANTS = {"PLD": PLDAccountant, "RDP": RdpAccountant}
BRACKET = ExplicitBracketInterval(0.5, 20.0)  # of the noise; far below, the distributions would fill gigabytes
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


def event(sigma: float, rate: float, steps: int) -> SelfComposedDpEvent:
    """Return a run of DP-SGD with Poisson sampling."""
    return SelfComposedDpEvent(PoissonSampledDpEvent(rate, GaussianDpEvent(sigma)), steps)


def epsilon(method: str, sigma: float, rate: float, steps: int, delta: float) -> list[float]:
    """Return one upper bound, or PRV's lower bound, estimate and upper bound."""
    if method == "PRV":
        accountant = DPSGDAccountant(sigma, rate, steps, eps_error=0.01, delta_error=delta / 1000)
        return list(accountant.compute_epsilon(delta, steps))
    return [ACCOUNTANTS[method]().compose(event(sigma, rate, steps)).get_epsilon(delta)]


def noise(method: str, target: float, rate: float, steps: int, delta: float, tolerance: float) -> list[float]:
    """Return the noise multiplier at which the target is spent."""
    make = partial(event, rate=rate, steps=steps)
    return [calibrate_dp_mechanism(ACCOUNTANTS[method], make, target, delta, BRACKET, tol=tolerance)]


def timed(what: str, **arguments: object) -> dict:
    """Return CPU seconds and the result."""
    start = time.process_time()
    result = {"epsilon": epsilon, "noise": noise}[what](**arguments)
    return {"cpu": time.process_time() - start, "result": result}


if __name__ == "__main__":
    serve(timed, "dp-accounting", "prv-accountant")
