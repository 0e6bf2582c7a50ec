"""Learn, prove, serve and re-adapt the split of an advertising budget across media platforms.

Some libraries below tell their makers of their use. Here none does: their switches are set before any of them is
imported, which is when onnxruntime reads its own. Whoever wants otherwise sets the variable before the process starts.
"""

import os

TELEMETRY_OFF = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime, Privacy.md
    "MLFLOW_DISABLE_TELEMETRY": "true",  # mlflow/environment_variables.py
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub/constants.py
    "DO_NOT_TRACK": "1",  # evidently/telemetry.py
    "ITERATIVE_DO_NOT_TRACK": "1",  # iterative_telemetry, below evidently
}
"""Environment: value by name; the images set the same."""

for _name, _value in TELEMETRY_OFF.items():
    os.environ.setdefault(_name, _value)
