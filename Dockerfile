# Two images: `docker build --target api .` and `docker build --target worker .`
# Every package is pinned and checked by its hash (requirements/), but for builds of torch that come from elsewhere.
# Build arguments: API_EXTRAS=api,telemetry adds OpenTelemetry's exporter to the API, api,optuna samplers of studies;
# TORCH=cuda (as the package index has it), cpu, or wheels (what is handed in, whichever version);
# TORCH_INDEX is where the builds for CPUs come from. Wheels are handed in by `--build-context wheels=FOLDER` and are
# taken instead of downloads.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM scratch AS wheels

FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/dartboard/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_CACHE_DIR=/var/cache/pip \
    PIP_ROOT_USER_ACTION=ignore
RUN groupadd --gid 10001 dartboard \
 && useradd --uid 10001 --gid dartboard --home-dir /var/lib/dartboard --no-create-home dartboard \
 && install -d -o dartboard -g dartboard /var/lib/dartboard /datasets

FROM base AS package
WORKDIR /build
COPY requirements/build.txt requirements/
# What pip keeps lies in the mounted cache, not in the layer.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --require-hashes -r requirements/build.txt
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /dist .

# Apart from the installations, which would be repeated for every change of pyproject.toml.
FROM base AS api-requirements
ARG API_EXTRAS=api
WORKDIR /build
COPY deploy/image/requirements.py ./
COPY requirements requirements
RUN python requirements.py "${API_EXTRAS}"

FROM base AS worker-requirements
ARG TORCH=cuda
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
COPY deploy/image/requirements.py ./
COPY requirements requirements
RUN --mount=type=bind,from=wheels,target=/wheels \
    python requirements.py worker "${TORCH}" "${TORCH_INDEX}"

FROM base AS api-packages
# Debian keeps only the newest version of a package, so a pinned one could not be built again.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY deploy/image/trim.sh ./
COPY --from=api-requirements /build/requirements.txt ./
# What pip keeps lies in the mounted cache, not in the layer.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=wheels,target=/wheels \
    python -m venv --without-pip /opt/dartboard \
 && pip --python /opt/dartboard/bin/python install --no-deps --require-hashes -r requirements.txt \
 && sh trim.sh /opt/dartboard/lib/python3*/site-packages

FROM base AS worker-packages
WORKDIR /build
COPY --from=worker-requirements /build/requirements.txt /build/torch.txt ./
# What pip keeps lies in the mounted cache, not in the layer.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=wheels,target=/wheels \
    python -m venv --without-pip /opt/dartboard \
 && { [ ! -s torch.txt ] || xargs pip --python /opt/dartboard/bin/python install --no-deps < torch.txt; } \
 && pip --python /opt/dartboard/bin/python install --no-deps --require-hashes -r requirements.txt

FROM base AS api
# A volume that is mounted here for the first time takes over whose the folder is.
RUN install -d -o dartboard -g dartboard /artifacts /broker \
        /secrets/api /secrets/worker /secrets/postgres /secrets/valkey /secrets/monitoring
COPY --from=api-packages /opt/dartboard /opt/dartboard
RUN --mount=type=bind,from=package,source=/dist,target=/dist \
    pip --python /opt/dartboard/bin/python install --no-cache-dir --no-deps /dist/*.whl
USER 10001:10001
WORKDIR /var/lib/dartboard
ENV HOME=/var/lib/dartboard \
    DARTBOARD_ARTIFACTS=/artifacts \
    DARTBOARD_DATA_ROOT=/datasets
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["python", "-S", "-c", \
    "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
CMD ["python", "-m", "api", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS worker
# A compiler makes the kernels for CPUs below x86-64-v3, and Triton's launchers for the driver: both on the host, once,
# into a volume.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
COPY --from=worker-packages /opt/dartboard /opt/dartboard
RUN --mount=type=bind,from=package,source=/dist,target=/dist \
    pip --python /opt/dartboard/bin/python install --no-cache-dir --no-deps /dist/*.whl
# The kernels for processors with AVX2 (v3) and AVX-512 (v4): the first job has nothing to compile.
RUN if [ "$(uname -m)" = x86_64 ]; then \
      for level in v3 v4; do for number in float32 float64; do \
        python -m darts_core.kernels.compile_library "$level" "$number" || exit 1; \
      done; done; \
    fi
USER 10001:10001
WORKDIR /var/lib/dartboard
ENV HOME=/var/lib/dartboard \
    DARTBOARD_DATA_ROOT=/datasets \
    DARTBOARD_KERNELS=/var/lib/dartboard/kernels \
    DARTBOARD_WORKER_STATE=/var/lib/dartboard/state \
    DARTBOARD_METRICS_PORT=9101 \
    TRITON_CACHE_DIR=/var/lib/dartboard/triton \
    TORCHINDUCTOR_CACHE_DIR=/var/lib/dartboard/inductor \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
HEALTHCHECK --interval=15s --timeout=10s --start-period=120s --start-interval=2s CMD ["python", "-m", "worker.health"]
CMD ["python", "-m", "worker"]
