# A thin front for Meson. `make run` and `make check` start from a fresh Debian 12 or 13 with git and make.
BUILD ?= build
MESON_FLAGS ?=
PACKAGE_GROUPS = build page

.PHONY: run check check-catalogue check-hostile check-deb check-debian check-docker coverage deb valgrind bench build packages clean format lint

# Everything at http://127.0.0.1:8080; ARGS="--port 9000 --data /srv/decant" changes that.
run: PACKAGE_GROUPS = build page run
run: build
	@exec $(BUILD)/bin/decant serve $(ARGS)

check:
	@scripts/check

# The tests in another release of Debian than this machine's: needs root, and is no part of `make check`.
RELEASE ?= trixie
check-debian:
	@scripts/install-packages debian
	@scripts/check-debian $(RELEASE)

# The containers of deploy/docker, from nothing: needs Docker, and is no part of `make check`.
check-docker:
	@deploy/docker/check

# Every pair of formats that is offered, a quarter of an hour and more; the table is $(BUILD)/catalogue.tsv.
check-catalogue: PACKAGE_GROUPS = build page run check
check-catalogue: build
	@tests/catalogue/run.py --bindir $(BUILD)/bin --out $(BUILD)/catalogue.tsv $(ARGS)

# Every hostile file (`make check` sends other ones each time), ten minutes and more.
check-hostile: PACKAGE_GROUPS = build page run check
check-hostile: build
	@DECANT_BUILD=$(abspath $(BUILD)) DECANT_SANDBOX_MUST_WORK=1 /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/hostile $(ARGS)

# A Debian package in dist/; and its proof on a virtual machine: needs root, and is no part of `make check`.
deb: PACKAGE_GROUPS = build page deb
deb: packages
	@deploy/debian/build

check-deb: deb
	@scripts/install-packages check-deb
	@deploy/debian/check

# Lines that the tests run, by folder; and the tests under memcheck: a quarter of an hour, and some hours.
coverage:
	@scripts/coverage

valgrind:
	@scripts/valgrind

# The peers beside it, on ../shared/samples; ARGS=--full takes an hour.
bench: PACKAGE_GROUPS = build page run bench
bench: build
	@bench/run.py --bindir $(BUILD)/bin $(ARGS)

build: packages
	@TARGETS= scripts/build $(BUILD) $(MESON_FLAGS)

packages:
	@scripts/install-packages $(PACKAGE_GROUPS)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')
	npm --prefix web run --silent format

lint:
	@BUILD=$(BUILD) scripts/lint

clean:
	rm -rf build build-* dist
