# ipvsd: see README.md. Each target installs what it needs on Debian and Ubuntu.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOL := $(GO) tool -modfile=tools/go.mod
# These run inside the lab kernel by themselves (their TestMain boots it).
LAB := ./test/lab ./test/scenario ./director/ipvs ./cluster/vip/viplab
LAB_PACKAGES = $(shell $(GO) list $(LAB))
FAST_PACKAGES = $(filter-out $(LAB_PACKAGES),$(shell $(GO) list ./...))
DEPS_RUN := user-mode-linux iproute2 nginx-light
DEPS_TEST := $(DEPS_RUN) ipvsadm iptables lksctp-tools curl

export CGO_ENABLED ?= 0

.PHONY: all build check test demo bench package clean deps-run deps-test deps-bench

all: build

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ipvsd ./cmd/ipvsd

# Formatting, vet, staticcheck, tidy modules, and the arrows between packages.
check:
	@unformatted="$$($(TOOL) gofumpt -l .)"; [ -z "$$unformatted" ] || { echo "not formatted by gofumpt: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test -count=1 -run '^TestArrows$$' ./cmd/ipvsd

test: deps-test build
	CGO_ENABLED=1 $(GO) test -race $(FAST_PACKAGES)
	$(GO) test -count=1 -timeout 20m $(LAB)

demo: deps-run build
	bin/ipvsd demo

bench: deps-bench build
	test/bench/run

package: build
	$(TOOL) nfpm package --config deploy/nfpm.yaml --packager deb --target dist/

clean:
	rm -rf bin dist

deps-run: ; @deploy/deps $(DEPS_RUN)
deps-test: ; @deploy/deps $(DEPS_TEST)
deps-bench: ; @deploy/deps $(DEPS_TEST) keepalived ldirectord
