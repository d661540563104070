# A thin front for Meson. `make run` and `make check` start from a fresh Debian 12 with git and make.
BUILD ?= build
MESON_FLAGS ?=

.PHONY: run check build packages clean format lint

# Everything at http://127.0.0.1:8080; ARGS="--port 9000 --data /srv/decant" changes that.
run: build
	@scripts/install-packages run
	exec $(BUILD)/bin/decant serve $(ARGS)

check:
	@scripts/check

build: packages
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --prefix "$(abspath $(BUILD))" --bindir bin $(MESON_FLAGS) >/dev/null
	@meson install -C $(BUILD) --quiet --only-changed

packages:
	@scripts/install-packages build

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

lint:
	scripts/lint $(BUILD)

clean:
	rm -rf build build-*
