# syntax=docker/dockerfile:1
# One image with every program for users; what runs is chosen by the command. Programs write nowhere but where they are
# told to (an archive's folder or bucket, a provider's statement), so it also runs with a read-only root file system.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ gcc libssl-dev make pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# The caches belong to the builder, not to the image: the programs are copied out of them. One call builds them all, so
# that each dependency is compiled once.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --locked --release --package workers --package client --package order-api --package replay-tool \
        --package outbox-relay --bins --features replay-tool/s3 \
    && mkdir /programs \
    && cp target/release/order-worker target/release/inventory-worker target/release/payment-worker \
          target/release/order-api target/release/orders target/release/replay-tool target/release/outbox-relay /programs/

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin pipeline \
    # A new volume that is mounted here belongs to whom the folder belongs to.
    && install --directory --owner pipeline --mode 0700 /keys
COPY --from=build /programs/ /usr/local/bin/
USER 10001
EXPOSE 8080 8090
# SIGTERM drains; the workers exit by themselves within their deadline.
STOPSIGNAL SIGTERM
CMD ["order-worker", "run"]
