"""What MLflow loads of kind `creators`: a pyfunc, briefs as JSON to plans as JSON (see serving_model.py)."""

import json

from crossmix import registry
from crossmix.creators import bundled
from crossmix.creators.brief import of

registry.declare(
    load=bundled.load,
    predict=lambda planner, inputs: {
        "plan": [json.dumps(planner.plan(of(json.loads(brief))).plain()) for brief in inputs["brief"]]
    },
)
