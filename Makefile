# Shorthands; everything here is one command that can be typed as well.
.PHONY: run test race lint bench ci build

run:
	go run ./cmd/weir

test:
	go test ./...

race:
	go test -race -shuffle=on ./...

lint:
	bash .ci/run vet gofmt staticcheck compose

bench:
	go -C bench run . wire

ci:
	bash .ci/run

build:
	CGO_ENABLED=0 go build -trimpath -tags nomsgpack -ldflags='-s -w' -o bin/weir ./cmd/weir
