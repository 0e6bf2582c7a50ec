"""Points of a learning curve as MLflow's metrics."""

from __future__ import annotations

from typing import Any

from crossmix.registry import learning_curve


class Client:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.metrics: list[Any] = []

    def log_batch(self, run_id: str, metrics: list[Any]) -> None:
        assert run_id == "r"
        self.metrics += metrics

    def get_metric_history(self, run_id: str, key: str) -> list[Any]:
        assert run_id == "r"
        return [one for one in self.metrics if one.key == key]


def test_finite_numbers_of_a_point_are_metrics_over_environment_steps() -> None:
    client = Client()
    point = {"env_steps": 40, "phase": "pathwise", "update": 3, "validation_ratio": 0.9, "ppo_entropy": float("nan")}
    learning_curve.log(client, "r", point)
    learning_curve.log(client, "r", point | {"env_steps": 80, "validation_ratio": float("inf")})
    assert [(one.key, one.value, one.step) for one in client.metrics] == [
        ("curve.update", 3.0, 40),
        ("curve.validation_ratio", 0.9, 40),
        ("curve.update", 3.0, 80),
    ]
    assert learning_curve.logged(client, "r") == [40]
