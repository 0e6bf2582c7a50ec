"""The planner's settings, as the config declares them."""

from crossmix.config.creators import Effects, Reward, Solver, Walk

__all__ = ["Effects", "Reward", "Solver", "Walk"]
