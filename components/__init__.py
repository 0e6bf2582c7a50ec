"""KFP components: one folder per step, each a thin door to one core function."""

IMAGE = "crossmix-steps:0.1.0"
"""The one image of every step on a cluster (`Dockerfile`); `crossmix compile --image` names another."""
