# The Airflow of docker-compose.yaml: one image for every part of it. Build it with `docker compose build`.
#
# What is installed is what uv.lock says, and the tests ran on: nothing is resolved while the image is built.

FROM python:3.12-slim-trixie AS build
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.8
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/venv
WORKDIR /opt/reelkeeper
# Dependencies first: a change of the code alone does not install them again.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --extra celery --extra openlineage --extra slack --extra statsd --group packager --no-install-project
COPY include include
COPY plugins plugins
COPY sql sql
COPY dags dags
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --extra celery --extra openlineage --extra slack --extra statsd --group packager

FROM python:3.12-slim-trixie
# ffmpeg and ffprobe; letters for names of cameras in any script; curl asks the health checks' questions. HLS and DASH are
# packed by Shaka Packager, from the wheel above.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends curl ffmpeg fonts-noto-cjk fonts-noto-core \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home --shell /usr/sbin/nologin airflow \
    && install --directory --owner=airflow --group=0 --mode=0770 \
        /opt/airflow/logs /opt/airflow/secrets /srv/reelkeeper/footage /srv/reelkeeper/landing
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/reelkeeper /opt/reelkeeper
COPY --chmod=0555 deploy/airflow/init.sh /opt/reelkeeper/deploy/airflow/init.sh
ENV PATH=/opt/venv/bin:$PATH AIRFLOW_HOME=/opt/airflow PYTHONUNBUFFERED=1 TZ=UTC
WORKDIR /opt/airflow
# By number: who forbids root to run (Kubernetes' runAsNonRoot) cannot look a name up.
USER 50000:0
CMD ["airflow", "version"]
