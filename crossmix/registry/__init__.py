"""The registry: bundles as versions in MLflow, and the two steps that write there.

`declare` is named here because the model file that MLflow keeps with every version asks for it under this name.
"""

from crossmix.registry.pyfunc import declare

__all__ = ["declare"]
