# tlsratchet: make help lists what there is.
GO      ?= go
PREFIX  ?= /usr/local
DESTDIR ?=
RACE    ?=
# The version is the tag's, else the changelog's; stripped.
FLAGS    = -trimpath -ldflags "-s -w -X main.stamped=$(shell packaging/version)"
BUILDVCS ?= auto
ROOT     = $(DESTDIR)$(PREFIX)
# fish looks into the folders of packages, but for /usr/local into none.
FISH     = $(if $(filter /usr,$(PREFIX)),$(ROOT)/share/fish/vendor_completions.d,$(DESTDIR)/etc/fish/completions)
export CGO_ENABLED ?= $(if $(RACE),1,0)

.DEFAULT_GOAL := build

# What is built, beside the machine's own.
TARGETS ?= linux/amd64 linux/arm64 linux/arm linux/386 linux/ppc64le linux/riscv64 linux/s390x freebsd/amd64 openbsd/amd64 netbsd/amd64
# Packages without I/O of their own: their tests run under an emulator.
PURE    ?= ./tlsstate ./internal/clean ./internal/peer ./internal/config ./internal/maillog ./internal/incident ./milter

.PHONY: help build cross typecheck emulate demo test soak bench population chaos lint vuln fuzz install uninstall package package-test container-test release test-systemd versions print-targets clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build build/tlsratchet
	$(GO) build $(FLAGS) -o build/ ./cmd/tlsratchet

cross: ## build for every system in TARGETS, into build/SYSTEM/
	@for t in $(TARGETS); do echo "$$t"; \
		CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} GOARM=7 \
			$(GO) build $(FLAGS) -buildvcs=false -o build/$$t/ ./cmd/tlsratchet || exit 1; \
	done
	CGO_ENABLED=0 GOARCH=386 $(GO) vet ./...

typecheck: ## check the types for every system in TARGETS; half a minute, and no build
	$(GO) run ./test/cross ./cmd/tlsratchet $(TARGETS)

emulate: ## run the tests of pure packages on a 32-bit and a big-endian machine (Debian's qemu-user)
	$(GO) run ./test/posttest/install qemu-user
	CGO_ENABLED=0 GOARCH=arm $(GO) test -short -timeout 60m -exec qemu-arm $(PURE)
	CGO_ENABLED=0 GOARCH=arm $(GO) test -run Guard -exec qemu-arm ./tlsstate/store/shared
	CGO_ENABLED=0 GOARCH=s390x $(GO) test -short -timeout 60m -exec qemu-s390x $(PURE)
	CGO_ENABLED=0 GOARCH=s390x $(GO) test -run 'Key|Contract' -exec qemu-s390x ./tlsstate/store

demo: build ## see a stripped peer caught at a real Postfix (root; some seconds)
	$(GO) run ./test/posttest/install
	$(GO) run ./test/e2e/demo -tlsratchet build/tlsratchet

test: ## run all tests, real Postfix included (root; installs what is missing)
	$(GO) run ./test/posttest/install
	$(GO) run ./test/posttest/install zsh fish
	$(GO) vet ./...
	$(GO) test -timeout 30m $(RACE) ./...

soak: ## run the long trials: kills, damage, floods, clients that stop, restarts (an hour)
	$(GO) test -count 1 -timeout 4h -v ./test/soak -soak
	$(GO) test -count 1 -v -run UnderLoad ./test/e2e -soak

bench: build ## measure beside milters that do nothing, and write docs/performance.md (root, for Postfix)
	$(GO) test -run '^$$' -bench . -benchmem ./tlsstate ./internal/peer ./internal/ratchet ./internal/outbound ./tlsstate/store
	$(GO) run ./test/bench -postfix -sending -start -replay -write docs/performance.md

population: ## try the rules on a made-up world of 5,000 peers, and write docs/policy.md
	$(GO) run ./test/population/cmd -write docs/policy.md

chaos: ## kill, stop and starve the server that MX hosts share, and write docs/several-mx.md
	$(GO) run ./test/chaos -write docs/several-mx.md

lint: ## gofmt, go vet, all checks of staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these'; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck -checks all,-ST1022 ./...

vuln: ## ask the Go vulnerability database about what we import (network; before a release)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} -fuzzminimizetime 500x $$pkg || exit 1; \
		done; \
	done

install: ## install into DESTDIR and PREFIX (/usr/local), docs and units too
	$(GO) build $(FLAGS) -buildvcs=$(BUILDVCS) -o build/install/ ./cmd/tlsratchet
	GOARCH= $(GO) build $(FLAGS) -buildvcs=$(BUILDVCS) -o build/native/ ./cmd/tlsratchet
	install -D -m 0755 build/install/tlsratchet $(ROOT)/sbin/tlsratchet
	install -d $(ROOT)/lib/systemd/system $(ROOT)/share/man/man8 $(ROOT)/share/bash-completion/completions \
		$(ROOT)/share/zsh/site-functions $(FISH)
	for unit in tlsratchet.service tlsratchet.socket; do \
		sed 's|/usr/sbin/tlsratchet|$(PREFIX)/sbin/tlsratchet|' contrib/systemd/$$unit >$(ROOT)/lib/systemd/system/$$unit || exit 1; \
	done
	build/native/tlsratchet generate man >$(ROOT)/share/man/man8/tlsratchet.8
	build/native/tlsratchet generate bash >$(ROOT)/share/bash-completion/completions/tlsratchet
	build/native/tlsratchet generate zsh >$(ROOT)/share/zsh/site-functions/_tlsratchet
	build/native/tlsratchet generate fish >$(FISH)/tlsratchet.fish
	for f in README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE $$(find docs contrib -type f ! -name '*.go'); do \
		install -D -m 0644 $$f $(ROOT)/share/doc/tlsratchet/$$f || exit 1; \
	done
	install -m 0644 contrib/tlsratchet.toml $(ROOT)/share/doc/tlsratchet/tlsratchet.toml

uninstall: ## remove what install put there; the memory and /etc/tlsratchet stay
	rm -rf $(ROOT)/share/doc/tlsratchet
	rm -f $(ROOT)/sbin/tlsratchet $(ROOT)/lib/systemd/system/tlsratchet.service $(ROOT)/lib/systemd/system/tlsratchet.socket \
		$(ROOT)/share/man/man8/tlsratchet.8 $(ROOT)/share/bash-completion/completions/tlsratchet \
		$(ROOT)/share/zsh/site-functions/_tlsratchet $(FISH)/tlsratchet.fish

package: ## build the .deb and the .rpm in build/packages
	packaging/build

package-test: ## build the packages twice, in two folders, compare and check them (root; a minute)
	$(GO) run ./test/posttest/install lintian rpm
	$(GO) test -count 1 -v -run Packages ./test/packaging -packages

container-test: ## build the image of contrib/container by podman, and run compose.yml beside a Postfix (root; downloads)
	$(GO) run ./test/posttest/install podman crun debootstrap docker-compose
	test/container/run

test-systemd: package ## install, reload, kill, upgrade and purge the package under Debian 12's and 13's systemd (root)
	$(GO) run ./test/posttest/install systemd-container debootstrap
	test/systemd/run bookworm
	test/systemd/run trixie

versions: ## run e2e at the Postfix of Debian 11, 12, 13 and sid, try Sendmail, and write docs/compatibility.md (root; downloads)
	$(GO) run ./test/posttest/install debootstrap
	test/versions

release: ## build all files of a release in build/release, check them, write checksums; see docs/release.md
	$(GO) run ./test/posttest/install lintian rpm
	packaging/release
	$(GO) test -count 1 -timeout 30m -v -run Released ./test/packaging -released $(CURDIR)/build/release

print-targets:
	@echo $(TARGETS)

clean: ## remove what build made
	rm -rf build
