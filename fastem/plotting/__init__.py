"""Plots of fitted mixtures; matplotlib is imported when the first is drawn."""

from fastem.plotting.convergence import ConvergenceDisplay
from fastem.plotting.criteria import CriterionDisplay
from fastem.plotting.mixture_display import MixtureDisplay
from fastem.plotting.mixtures import plot_mixture
from fastem.plotting.uncertainty import UncertaintyDisplay

__all__ = ["ConvergenceDisplay", "CriterionDisplay", "MixtureDisplay", "UncertaintyDisplay", "plot_mixture"]
