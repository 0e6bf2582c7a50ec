"""What all tests share: one torch thread, as the runner's steps have, so that the same seed gives the same bytes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
