"""Finish: however a run ends, its state is told and its TrainJob is freed."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def finish(
    pipeline: str,
    store: str,
    namespace: str,
    status: dsl.PipelineTaskFinalStatus,
    told: dsl.Output[dsl.Markdown],
) -> None:
    """Tell what became of the run; free its TrainJobs of `namespace`, "" where it makes none."""
    from components.finish.core import end

    end(pipeline, status.state, status.error_message, store, namespace, told.path)
