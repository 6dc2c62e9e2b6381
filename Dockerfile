# The base needs Python 3.11 to 3.13 with venv and nothing else: an image of Debian 12 with its own
# python3 and python3-venv does as well.
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
WORKDIR /source
COPY locks/run.txt locks/
RUN python3 -m venv /app && /app/bin/pip install --no-cache-dir --require-hashes -r locks/run.txt
COPY pyproject.toml hatch_build.py README.md LICENSE comms.proto ./
COPY audio_server audio_server
COPY clips clips
RUN /app/bin/pip install --no-cache-dir --no-deps .

FROM ${BASE}
LABEL org.opencontainers.image.title="streaming-audio-server" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app /app
# A user of no name and no rights; its cache and its data are all that it may write.
RUN install -d -o 10001 -g 10001 /cache /data
USER 10001:10001
# Here ./clips is /clips: a folder that is mounted there takes the place of the shipped clips.
WORKDIR /
ENV PATH=/app/bin:$PATH \
    HOME=/cache \
    AUDIO_SERVER_HOST=0.0.0.0 \
    AUDIO_SERVER_HTTP=0.0.0.0:8080 \
    AUDIO_SERVER_CACHE=/cache \
    AUDIO_SERVER_DATA=/data
VOLUME ["/cache", "/data"]
EXPOSE 50051 8080
# The server's own loop has to answer, and nothing is left behind; a scripted device would be the
# truer check, but costs a second of CPU each time and judges the pace of a busy machine.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["audio-server", "check"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["audio-server"]
