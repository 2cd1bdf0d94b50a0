# Two stages: the first installs the pinned packages, the second holds only what runs.
# docker build -t router . && docker run -p 8080:8080 -v ./router.yaml:/etc/router/router.yaml:ro router
# To build from the very same base each time: --build-arg PYTHON=python:3.11-slim@sha256:...

ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS build
WORKDIR /src
# Without pip of its own: what can install does not run.
RUN python -m venv --without-pip /opt/router
COPY constraints.txt pyproject.toml README.md ./
COPY router ./router
RUN python -m pip --python /opt/router/bin/python install \
    --no-cache-dir --disable-pip-version-check --constraint constraints.txt .

FROM ${PYTHON}
ENV PATH=/opt/router/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin router \
    && mkdir -p /srv/router/var /etc/router \
    && chown router /srv/router/var
COPY --from=build /opt/router /opt/router
# State and pairs are written below var; everything else may be read-only (docker run --read-only).
WORKDIR /srv/router
VOLUME /srv/router/var
USER 10001
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["router", "healthcheck"]
# The exec form makes the controller process 1: it gets SIGTERM itself, and drains.
ENTRYPOINT ["router"]
CMD ["serve", "/etc/router/router.yaml"]
