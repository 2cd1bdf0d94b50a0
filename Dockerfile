# Two stages: the first compiles and installs, the second holds only what runs.
# docker build -t router .
# docker run --read-only --stop-timeout 45 -p 8080:8080 -v ./config:/etc/router:ro -v router:/srv/router/var router
# (./config holds router.yaml, which listens on 0.0.0.0:8080.) docs/operations.md has more.
# To build from the very same base each time: --build-arg PYTHON=python:3.11-slim@sha256:...

ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS build
WORKDIR /src
# What compiles the data plane (build_backend.py) stays behind in this stage.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
# Without pip of its own: what can install does not run.
RUN python -m venv --without-pip /opt/router
COPY build_backend.py constraints.txt pyproject.toml README.md setup.py ./
COPY router ./router
# What is installed only where it is asked for: --build-arg EXTRAS=otel,redis,sql
ARG EXTRAS=
RUN ROUTER_COMPILE=1 python -m pip --python /opt/router/bin/python install \
    --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM ${PYTHON}
ENV PATH=/opt/router/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The image of Python has its standard library uncompiled, and who runs here may not write it: each process,
# each health check too, would compile it anew (0.28 s of CPU instead of 0.07).
RUN python -m compileall -q -x '/(tests|site-packages)/' \
    "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
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
