# Front door; Meson and Ninja do the work.
#
#   make            build/fermata
#   make demo       checkpoint and restore a live program, from nothing
#   make test       unit and live tests, from nothing; ends with "N passed, N failed"
#   make lint       gcc -fanalyzer, clang-tidy, cppcheck; LINT=--deep adds clang's analyzer
#   make coverage   the tests again, in a tree that counts the lines they run
#   make faults     a fault at every system call of the tool; ends with "points P, harmed N"
#   make races      a thousand dumps (N=) of each target that does not hold still
#   make soak       10,000 dumps and restores of one tree, or CYCLES=n; nothing may grow
#   make fuzz       hostile input: libFuzzer on every parser, SECONDS=60 each, then every flipped byte of
#                   the golden images (clang, in $(BUILD)-fuzz)
#   make bench      timings beside machine floors; CRIU=/path/to/criu adds another tool
#   make install    DESTDIR= PREFIX= (or prefix=) CRIU_LINK=true adds the name `criu`
#   make features   docs/features.md from the tests
#   make support    docs/support.md from the tables of the code
#   make format     clang-format over the sources
#   make clean
#
# Other trees:  make BUILD=build-asan SETUP=-Db_sanitize=address,undefined

BUILD     ?= build
prefix    ?= /usr/local
PREFIX    ?= $(prefix)
SETUP     ?=
CRIU_LINK ?= false
SECONDS   ?= 60
LINT       = # make itself would say "lint"

.PHONY: all demo test lint coverage faults races soak fuzz bench install features support format clean \
	bootstrap

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@tools/bootstrap --check
	meson setup $(BUILD) $(SETUP)

bootstrap:
	@tools/bootstrap

demo: bootstrap
	@$(MAKE) --no-print-directory all
	@tools/demo $(BUILD)/fermata

test: bootstrap
	@tools/bootstrap --services
	@$(MAKE) --no-print-directory all
	@tools/run-tests $(BUILD)

lint:
	@tools/bootstrap --lint
	@tools/lint $(LINT)

coverage:
	@tools/bootstrap
	@tools/bootstrap --lint
	@tools/coverage $(COVERAGE)

faults: all
	@tests/live/sweep

races: all
	@rm -f $(BUILD)/live/races.txt
	@RACES=$(or $(N),1000) tests/live/run -k test_races; status=$$?; \
	cat $(BUILD)/live/races.txt; exit $$status

soak: all
	@CYCLES=$(or $(CYCLES),10000) tests/live/case.py test_soak test_soak

fuzz:
	@tools/bootstrap
	@tools/bootstrap --lint
	@[ -d $(BUILD)-fuzz ] || CC="$${FUZZ_CC:-clang}" meson setup $(BUILD)-fuzz -Dfuzz=enabled \
		-Db_sanitize=address,undefined -Db_lundef=false -Dstatic=disabled
	@ninja -C $(BUILD)-fuzz
	@tests/fuzz/run $(BUILD)-fuzz --seconds $(SECONDS) $(FUZZ_ARGS)

bench: all
	@python3 bench/run.py --fermata $(BUILD)/fermata $(if $(CRIU),--tool criu=$(CRIU)) $(BENCH_ARGS)

install: all
	meson configure $(BUILD) --prefix=$(PREFIX) -Dcriu_link=$(CRIU_LINK)
	DESTDIR='$(DESTDIR)' meson install -C $(BUILD)

features: all
	@tests/live/features

support: all
	@$(BUILD)/fermata-support > docs/support.md

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD)
