# Weir in an image of one static binary, run by a user without a name or rights.
#
#   docker build -t weir .
#   docker run -v ./weir.yaml:/etc/weir/weir.yaml:ro -v weir:/var/lib/weir weir
#
# Inside a container, the default addresses (127.0.0.1) are reached by nobody:
# give a configuration as deploy/weir.yaml, with its listeners on 0.0.0.0.

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -tags nomsgpack -ldflags='-s -w' -o /out/weir ./cmd/weir \
    && mkdir -p /out/data /out/etc

FROM scratch
# For an external NATS behind a publicly trusted certificate
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/weir /weir
COPY --from=build --chown=65532:65532 /out/etc /etc/weir
# Weir keeps its data (./weir-data) in the working directory, and makes that
# folder 0700 itself.
COPY --from=build --chown=65532:65532 /out/data /var/lib/weir
USER 65532:65532
WORKDIR /var/lib/weir
VOLUME /var/lib/weir
# HTTP, MQTT, CoAP, control, embedded NATS. Health is asked over HTTP: /readyz
# and /healthz on the control port; the image has no shell to ask from.
EXPOSE 8080/tcp 1883/tcp 5683/udp 8088/tcp 4222/tcp
ENTRYPOINT ["/weir"]
CMD ["serve", "--config", "/etc/weir/weir.yaml"]
