# syntax=docker/dockerfile:1
#
#   docker build -t watchtower .
#   docker run --rm -p 127.0.0.1:8090:8090 -v watchtower:/data \
#       -e WATCHTOWER__LISTEN__ALLOW_UNAUTHENTICATED=true watchtower
#
# In a container the service has to listen on all addresses, and does so only when told that nobody is asked
# who they are. Say it where the port is published on loopback, as above, or where a proxy that authenticates
# is the only one to reach it: that is why the image itself does not say it.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# Registry and target live in caches that outlast this layer: a change builds what it touches.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --bin watchtower \
    && cp target/release/watchtower /usr/local/bin/watchtower

FROM debian:12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin watchtower \
    && install --directory --owner watchtower --group watchtower /data
COPY --from=build /usr/local/bin/watchtower /usr/local/bin/watchtower
USER watchtower
WORKDIR /
VOLUME /data
EXPOSE 8090
ENV WATCHTOWER__LISTEN__ADDRESS=0.0.0.0:8090
# The image has no HTTP client, and bash can do without one. A start reads the journal, so it is given time.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8090 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]
ENTRYPOINT ["watchtower"]
CMD ["run", "--data", "/data"]
