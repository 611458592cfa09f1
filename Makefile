# tlsratchet: make help lists what there is.
GO      ?= go
PREFIX  ?= /usr/local
DESTDIR ?=
RACE    ?=
export CGO_ENABLED ?= $(if $(RACE),1,0)

.DEFAULT_GOAL := build

# What is built, beside the machine's own; NetBSD lacks a library, go-systemd.
TARGETS ?= linux/amd64 linux/arm64 linux/arm linux/386 linux/ppc64le linux/riscv64 linux/s390x freebsd/amd64 openbsd/amd64
# Packages without I/O of their own: their tests run under an emulator.
PURE    ?= ./tlsstate ./internal/clean ./internal/peer ./internal/config ./internal/maillog ./internal/incident ./milter

.PHONY: help build cross emulate demo test soak bench population chaos lint vuln fuzz install clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build build/tlsratchet
	$(GO) build -trimpath -o build/ ./cmd/tlsratchet

cross: ## build for every system in TARGETS, into build/SYSTEM/
	@for t in $(TARGETS); do echo "$$t"; \
		CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} GOARM=7 \
			$(GO) build -trimpath -o build/$$t/ ./cmd/tlsratchet || exit 1; \
	done
	CGO_ENABLED=0 GOARCH=386 $(GO) vet ./...

emulate: ## run the tests of pure packages on a 32-bit and a big-endian machine (Debian's qemu-user)
	$(GO) run ./test/posttest/install qemu-user
	CGO_ENABLED=0 GOARCH=arm $(GO) test -short -exec qemu-arm $(PURE)
	CGO_ENABLED=0 GOARCH=s390x $(GO) test -short -exec qemu-s390x $(PURE)
	CGO_ENABLED=0 GOARCH=s390x $(GO) test -run 'Key|Contract' -exec qemu-s390x ./tlsstate/store

demo: build ## see a stripped peer caught at a real Postfix (root; under a minute)
	$(GO) run ./test/posttest/install
	$(GO) run ./test/e2e/demo -tlsratchet build/tlsratchet

test: ## run all tests, real Postfix included (root; installs what is missing)
	$(GO) run ./test/posttest/install
	$(GO) vet ./...
	$(GO) test $(RACE) ./...

soak: ## run the long trials: kills, damage, floods, clients that stop, restarts (an hour)
	$(GO) test -count 1 -timeout 4h -v ./test/soak -soak
	$(GO) test -count 1 -v -run UnderLoad ./test/e2e -soak

bench: build ## measure beside milters that do nothing, and write docs/performance.md (root, for Postfix)
	$(GO) test -run '^$$' -bench . -benchmem ./tlsstate ./internal/peer ./internal/ratchet ./tlsstate/store
	$(GO) run ./test/bench -postfix -start -replay -write docs/performance.md

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
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$pkg || exit 1; \
		done; \
	done

install: build ## install into DESTDIR and PREFIX (/usr/local)
	install -D -m 0755 build/tlsratchet $(DESTDIR)$(PREFIX)/sbin/tlsratchet
	install -D -m 0644 contrib/tlsratchet.toml $(DESTDIR)$(PREFIX)/share/doc/tlsratchet/tlsratchet.toml
	install -D -m 0644 contrib/systemd/tlsratchet.service $(DESTDIR)$(PREFIX)/lib/systemd/system/tlsratchet.service
	install -D -m 0644 contrib/systemd/tlsratchet.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/tlsratchet.socket
	install -d $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	build/tlsratchet generate man >$(DESTDIR)$(PREFIX)/share/man/man8/tlsratchet.8
	build/tlsratchet generate bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/tlsratchet
	build/tlsratchet generate zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tlsratchet
	build/tlsratchet generate fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tlsratchet.fish
	sed -i 's|/usr/sbin/tlsratchet|$(PREFIX)/sbin/tlsratchet|' $(DESTDIR)$(PREFIX)/lib/systemd/system/tlsratchet.service

clean: ## remove what build made
	rm -rf build
