# ipvsd: see README.md. Each target installs what it needs on Debian and Ubuntu.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
GO ?= go
RELEASE := 0.1.0
# The commit's time comes first, so that a later package is the newer version.
VERSION ?= $(RELEASE)+git.$(shell TZ=UTC git show -s --date=format-local:%Y%m%d%H%M%S --format=%cd.%h HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOL := $(GO) tool -modfile=tools/go.mod
# These run inside the lab kernel by themselves (their TestMain boots it), one
# package after the other: a starved lab kernel misses deadlines.
LAB := ./test/lab/... ./test/scenario ./test/bench ./director/ipvs ./director/ipvs/moduletest \
	./director/ipvs/syncd/syncdlab ./director/ipvs/handover/handoverlab ./cluster/vip/viplab ./cluster/clusterlab ./test/packages/...
LAB_PACKAGES = $(shell $(GO) list $(LAB))
FAST_PACKAGES = $(filter-out $(LAB_PACKAGES),$(shell $(GO) list ./...))
DEPS_RUN := user-mode-linux iproute2 nginx-light
# The race detector needs a C compiler; prometheus has promtool.
DEPS_TEST := $(DEPS_RUN) adduser kmod lintian systemd ipvsadm iptables lksctp-tools curl ldirectord keepalived groff-base gcc libc6-dev prometheus shellcheck

# Real servers for every check; test/servers starts them, and only on loopback.
DEPS_SERVERS := nginx-light squid unbound slapd freeradius mariadb-server postgresql redis-server memcached \
	dovecot-imapd dovecot-pop3d exim4-daemon-light jamnntpd vsftpd kamailio

DEPS_BROWSER := chromium

export CGO_ENABLED ?= 0

.PHONY: all build check docs test test-servers test-browser pictures soak demo bench package clean need-go deps-run deps-test deps-bench deps-servers deps-browser

all: build

build: need-go
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ipvsd ./cmd/ipvsd

# Formatting, vet, staticcheck, tidy modules, the arrows between packages, and
# the pages in docs: what comes from the code is of now, every link leads somewhere.
check: need-go
	@unformatted="$$($(TOOL) gofumpt -l .)"; [ -z "$$unformatted" ] || { echo "not formatted by gofumpt: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags servers ./test/servers
	$(GO) vet -tags oracle ./director/config/convert/ldirectord
	$(TOOL) staticcheck ./...
	$(TOOL) staticcheck -tags servers ./test/servers
	$(GO) mod tidy -diff
	$(GO) test -count=1 -run '^Test(Arrows|Pages.*)$$' ./cmd/ipvsd
	$(GO) test -count=1 -run '^Test(Links|MigrationGuide)' ./docs/gen ./director/config/convert/...

# Writes what of the pages in docs comes from the code.
docs: need-go
	$(GO) test -count=1 -run '^TestPages$$' ./cmd/ipvsd -update
	$(GO) test -count=1 -run '^TestMigrationGuide$$' ./director/config/convert/keepalived ./director/config/convert/heartbeat -update

test: deps-test build
	CGO_ENABLED=1 $(GO) test -race $(FAST_PACKAGES)
	LDIRECTORD_FILES=15 LDIRECTORD_SEED=1 $(GO) test -count=1 -tags oracle -run '^TestOracle$$' ./director/config/convert/ldirectord
	$(GO) test -count=1 -p 1 -timeout 60m $(LAB)

# Every check against Debian's own servers: healthy, wrong, stopped, gone.
test-servers: need-go deps-servers
	$(GO) test -count=1 -timeout 10m -tags servers ./test/servers

# The dashboard in Debian's chromium, driven by playwright-core. node and npm may
# be others than Debian's.
BROWSER = $(GO) build -o test/browser/node_modules/.director ./test/browser/director && \
	cd test/browser && DIRECTOR="$$PWD/node_modules/.director" node
test-browser: need-go deps-browser
	$(BROWSER) --test --test-reporter=spec --test-concurrency=1 words.test.mjs dashboard.test.mjs

# What docs/dashboard.md shows.
pictures: need-go deps-browser
	mkdir -p docs/pictures
	$(BROWSER) pictures.mjs ../../docs/pictures

# The election over random faults in virtual time, a hundred times what `make
# test` has, with seeds that nobody saw before; a failure prints its seed.
SOAK ?= 1000000
soak: need-go
	$(GO) test -count=1 -timeout 0 -v -run '^TestSchedules$$' ./cluster/core -sim.runs=$(SOAK) -sim.first=$$(date +%s)000000 -sim.table

demo: deps-run build
	bin/ipvsd demo

bench: deps-bench build
	$(GO) run ./test/bench

# Debian packages in dist/, one for each architecture.
PACKAGE_ARCHS ?= amd64 arm64
package: need-go
	GO='$(GO)' VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' deploy/package dist $(PACKAGE_ARCHS)

clean:
	rm -rf bin dist

need-go:
	@command -v $(GO) >/dev/null || { echo 'ipvsd: building needs Go 1.26 or newer, and there is no go in PATH; see https://go.dev/doc/install'; exit 1; }

deps-run: ; @deploy/deps $(DEPS_RUN)
deps-test: ; @deploy/deps $(DEPS_TEST)
deps-bench: ; @deploy/deps $(DEPS_TEST)
deps-servers: ; @deploy/deps $(DEPS_SERVERS)
deps-browser:
	@deploy/deps $(DEPS_BROWSER) $$(command -v node >/dev/null || echo nodejs) $$(command -v npm >/dev/null || echo npm)
	@npm ci --prefix test/browser --ignore-scripts --no-audit --no-fund --silent
