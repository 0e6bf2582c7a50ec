# The one image of every step and server. Build: docker build -t crossmix-python:0.1.0 .
# A cluster should name it by digest: crossmix compile --image NAME@sha256:...
FROM python:3.11-slim

# A fixed user without a shell; the code is read-only to it.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin crossmix
WORKDIR /app
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# Requirements first, so that a change in the code reuses this layer.
COPY pyproject.toml constraints.txt README.md ./
COPY crossmix/__init__.py crossmix/__init__.py
RUN pip install -c constraints.txt ".[cluster]" && pip uninstall --yes crossmix

COPY crossmix crossmix
COPY components components
COPY pipelines pipelines
COPY feature_repo feature_repo
COPY serving serving
COPY monitoring monitoring
RUN pip install --no-deps .

USER 10001
ENTRYPOINT []
CMD ["crossmix", "--help"]
