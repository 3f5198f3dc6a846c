# Caddy and Prometheus as Debian builds them, where the official images cannot be had.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends caddy prometheus \
 && rm -rf /var/lib/apt/lists/* /etc/prometheus/* \
 && install -d -o "nobody" -g nogroup /prometheus
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config
