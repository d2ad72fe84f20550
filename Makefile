# ipvsd: see README.md. Each target installs what it needs on Debian and Ubuntu.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
GO ?= go
RELEASE := 0.1.0
VERSION ?= $(RELEASE)+git.$(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOL := $(GO) tool -modfile=tools/go.mod
# These run inside the lab kernel by themselves (their TestMain boots it), one
# package after the other: a starved lab kernel misses deadlines.
LAB := ./test/lab/... ./test/scenario ./test/bench ./director/ipvs ./director/ipvs/moduletest \
	./director/ipvs/syncd/syncdlab ./director/ipvs/handover/handoverlab ./cluster/vip/viplab ./cluster/clusterlab
LAB_PACKAGES = $(shell $(GO) list $(LAB))
FAST_PACKAGES = $(filter-out $(LAB_PACKAGES),$(shell $(GO) list ./...))
DEPS_RUN := user-mode-linux iproute2 nginx-light
# The race detector needs a C compiler.
DEPS_TEST := $(DEPS_RUN) ipvsadm iptables lksctp-tools curl ldirectord gcc libc6-dev

# Real servers for every check; test/servers starts them, and only on loopback.
DEPS_SERVERS := nginx-light squid unbound slapd freeradius mariadb-server postgresql redis-server memcached \
	dovecot-imapd dovecot-pop3d exim4-daemon-light jamnntpd vsftpd kamailio

export CGO_ENABLED ?= 0

.PHONY: all build check test test-servers soak demo bench package clean need-go deps-run deps-test deps-bench deps-servers

all: build

build: need-go
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ipvsd ./cmd/ipvsd

# Formatting, vet, staticcheck, tidy modules, and the arrows between packages.
check: need-go
	@unformatted="$$($(TOOL) gofumpt -l .)"; [ -z "$$unformatted" ] || { echo "not formatted by gofumpt: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags servers ./test/servers
	$(TOOL) staticcheck ./...
	$(TOOL) staticcheck -tags servers ./test/servers
	$(GO) mod tidy -diff
	$(GO) test -count=1 -run '^TestArrows$$' ./cmd/ipvsd

test: deps-test build
	CGO_ENABLED=1 $(GO) test -race $(FAST_PACKAGES)
	$(GO) test -count=1 -p 1 -timeout 30m $(LAB)

# Every check against Debian's own servers: healthy, wrong, stopped, gone.
test-servers: need-go deps-servers
	$(GO) test -count=1 -timeout 10m -tags servers ./test/servers

# The election over random faults in virtual time, a hundred times what `make
# test` has, with seeds that nobody saw before; a failure prints its seed.
SOAK ?= 1000000
soak: need-go
	$(GO) test -count=1 -timeout 0 -v -run '^TestSchedules$$' ./cluster/core -sim.runs=$(SOAK) -sim.first=$$(date +%s)000000 -sim.table

demo: deps-run build
	bin/ipvsd demo

bench: deps-bench build
	$(GO) run ./test/bench

package: build
	mkdir -p dist
	VERSION='$(VERSION)' $(TOOL) nfpm package --config deploy/nfpm.yaml --packager deb --target dist/

clean:
	rm -rf bin dist

need-go:
	@command -v $(GO) >/dev/null || { echo 'ipvsd: building needs Go 1.26 or newer, and there is no go in PATH; see https://go.dev/doc/install'; exit 1; }

deps-run: ; @deploy/deps $(DEPS_RUN)
deps-test: ; @deploy/deps $(DEPS_TEST)
deps-bench: ; @deploy/deps $(DEPS_TEST) keepalived
deps-servers: ; @deploy/deps $(DEPS_SERVERS)
