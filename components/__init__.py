"""KFP components: one folder per step, each a thin door to one core function."""

IMAGE = "crossmix-python:0.1.0"
"""What a compiled pipeline names where nobody says otherwise (`crossmix compile --image`, `--cluster`). No such image
is made: kfp's local runner, which takes none, warns of every name without `python` in it."""
