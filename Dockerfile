# Four images of one wheel: steps, train (CUDA), serve, spark (ingest). docs/guides/images.md says how they are built.
#   docker build --target serve --build-arg BASE="$(cat locks/base.txt)" -t crossmix-serve .
# BASE has no default: a Debian-based image of CPython 3.11 for Linux x86_64, by digest.
ARG BASE

# Empty here. `--build-context wheels=DIR` puts the builder's own files in its place: torch's build for CPUs is one.
FROM scratch AS wheels

FROM ${BASE} AS base
ARG BASE
# A tag is another image tomorrow, and the locks are for one Python.
RUN python3 -c 'import re, sys; \
    re.fullmatch(r"(\S+/)?[^@:/\s]+@sha256:[0-9a-f]{64}", sys.argv[1]) \
    or sys.exit(f"BASE: {sys.argv[1]!r} is no digest; use NAME@sha256:..., as make lock writes to locks/base.txt"); \
    (3, 11, 3) <= sys.version_info < (3, 12) \
    or sys.exit(f"BASE: it has Python {sys.version}; the locks are for CPython 3.11 from 3.11.3 on")' "${BASE}"
RUN groupadd --gid 10001 crossmix \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin crossmix
# Nothing but /tmp is written to; nobody is told of what runs (crossmix/__init__.py).
ENV HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    ORT_DISABLE_TELEMETRY=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    HF_HUB_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=1 \
    ITERATIVE_DO_NOT_TRACK=1
WORKDIR /tmp
RUN --mount=type=bind,source=locks/build.txt,target=/locks/build.txt \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --no-deps --require-hashes -r /locks/build.txt

FROM base AS wheel
WORKDIR /source
COPY pyproject.toml README.md ./
COPY crossmix crossmix
COPY components components
COPY pipelines pipelines
COPY feature_repo feature_repo
COPY serving serving
COPY monitoring monitoring
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /dist .

FROM base AS steps
RUN --mount=type=bind,source=locks/steps.txt,target=/locks/steps.txt \
    --mount=type=bind,from=wheels,target=/wheels \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --no-deps --no-build-isolation --find-links /wheels --require-hashes -r /locks/steps.txt
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    pip install --no-deps --no-index /dist/*.whl && pip check
USER 10001:10001
CMD ["crossmix", "--help"]

FROM base AS train
RUN --mount=type=bind,source=locks/train.txt,target=/locks/train.txt \
    --mount=type=bind,from=wheels,target=/wheels \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --no-deps --no-build-isolation --find-links /wheels --require-hashes -r /locks/train.txt
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    pip install --no-deps --no-index /dist/*.whl && pip check
USER 10001:10001
CMD ["crossmix", "--help"]

FROM base AS serve
# Bytecode of what a server imports is made here; of the rest it would be a fifth of the image.
RUN --mount=type=bind,source=locks/serve.txt,target=/locks/serve.txt \
    --mount=type=bind,from=wheels,target=/wheels \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --no-compile --no-deps --no-build-isolation --find-links /wheels --require-hashes -r /locks/serve.txt
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    pip install --no-compile --no-deps --no-index /dist/*.whl && pip check \
    && PYTHONDONTWRITEBYTECODE='' python3 -c 'import pipelines.cli.serve, serving.app, serving.live.live, \
        serving.protocol.predictor, serving.protocol.router, serving.experiment.watch, serving.page.routes, \
        crossmix.registry.store, feature_repo.features, kserve, psycopg, redis'
USER 10001:10001
CMD ["crossmix", "serve", "--help"]

FROM base AS java
# What the base's own distribution has: 17 of Debian 12, 21 of Debian 13, either is Spark's. tini is process 1, which
# buries Python workers whose JVM is gone.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends default-jre-headless tini \
    && rm -rf /var/lib/apt/lists/*

FROM java AS spark
RUN --mount=type=bind,source=locks/spark.txt,target=/locks/spark.txt \
    --mount=type=bind,from=wheels,target=/wheels \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --no-deps --no-build-isolation --find-links /wheels --require-hashes -r /locks/spark.txt
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    pip install --no-deps --no-index /dist/*.whl && pip check
USER 10001:10001
# Spark on Kubernetes starts the image as `driver ...` or `executor`.
ENTRYPOINT ["tini", "-s", "--", "python3", "-m", "pipelines.spark_pod"]
CMD ["python3", "-m", "pipelines.cli.main", "--help"]
