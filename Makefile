# Makefile - one for everything: libraries, services, ./saga, tests, checks.
#
# `make help` lists the targets.  What is built lies in build/ (BUILD=dir
# elsewhere), and ./saga is a link to the command in there.  V=1 shows the
# command lines; CC and CFLAGS may be given, and SANITIZE=address,undefined
# builds into a directory of its own.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SECONDARY:
.DELETE_ON_ERROR:

comma := ,
ifneq ($(filter default undefined,$(origin CC)),)
CC := cc
endif
CFLAGS ?= -O2 -g
VERSION := $(shell cat VERSION)
BUILD ?= build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))

Q := $(if $(V),,@)
silent := $(findstring s,$(filter-out --%,$(firstword $(MAKEFLAGS))))
say = @$(if $(silent)$(V),:,printf '  %-5s %s\n' $(1) $(patsubst $(BUILD)/%,%,$(2)))

SERVICES := order-svc inventory-svc payment-svc

# ---- flags ------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
    -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wundef -Werror
HARDEN := -fstack-protector-strong -fPIE
ifdef SANITIZE
# Fortified functions would hide from the sanitizers what they look for.
HARDEN += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
    -fno-omit-frame-pointer
endif
ifeq ($(SANITIZE)$(filter -O0,$(CFLAGS))$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),)
HARDEN += -D_FORTIFY_SOURCE=2
endif
# An event holds its payload as bytes, which a domain reads as its own struct.
DIALECT := -std=c17 -fno-strict-aliasing -D_GNU_SOURCE -DSAGA_VERSION='"$(VERSION)"' -Ilibevents -I.
COMPILE := $(CC) $(DIALECT) $(CPPFLAGS) $(WARNINGS) $(CFLAGS) $(HARDEN)
LINK := $(CC) $(CFLAGS) $(HARDEN) -pie -Wl,-z,relro,-z,now $(LDFLAGS)

# Asked when something is linked: until then `make test` may still have to
# install pkg-config.  msgpack-c 6 (Debian 13) renamed its library and its .pc
# file; NNG has no .pc file on either release.
MSGPACK = $(shell pkg-config --exists msgpack-c && echo msgpack-c || echo msgpack)
LIBS = $(shell pkg-config --libs sqlite3 $(MSGPACK) libsodium jansson libfiu) \
    -lpthread
NNG := -lnng
# libcriterion uses libnanomsg, and libnng exports the same nn_* names: where
# both are linked, libnanomsg has to come first.
CRITERION = $(shell pkg-config --libs criterion)
CRITERION_WITH_NNG = $(CRITERION) -Wl,--no-as-needed \
    $(shell pkg-config --libs nanomsg) -lnng

# As one word of the shell, whatever quotes it holds.
quoted = '$(subst ','\'',$(1))'

# ---- what there is ----------------------------------------------------------

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))

# Who knows all services, and what they share; the library knows none of it.
ROSTER := shop/roster.c
SHOP_SOURCES := $(filter-out $(ROSTER),$(wildcard shop/*.c))
# The `saga` that is installed is its verbs with an empty main.
GENERIC_MAIN := saga-cli/main.c
LIB_SOURCES := $(filter-out $(GENERIC_MAIN),$(wildcard libevents/*/*.c \
    libevents/net/nng/*.c saga-cli/*.c))
# `saga bench` stands with the other measurements.
CLI_SOURCES := $(wildcard shop/cli/*.c) bench/saga_bench.c bench/use.c
# The page of `saga web`, in a program of its own.
WEB_SOURCES := $(wildcard saga-web/*.c)
SVC_SOURCES := $(wildcard $(SERVICES:%=%/*.c))
TEST_SOURCES := $(wildcard tests/test_*.c)
HELPER_SOURCES := $(filter-out $(TEST_SOURCES),$(wildcard tests/*.c))
BENCH_SOURCES := $(filter-out $(CLI_SOURCES),$(wildcard bench/*.c))
# The simulation: its program, the same for a fuzzer, and what they share.
SIM_SOURCES := $(wildcard tests/sim/*.c)
SIM_PARTS := $(filter-out %/main.c %/cuts.c tests/sim/fuzz_%,$(SIM_SOURCES))
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
# Programs of their own, which the shell tests call.
TOOL_SOURCES := $(wildcard tests/tools/*.c)
# Libraries that those preload into the services.
PRELOAD_SOURCES := $(wildcard tests/crash/*.c)
SOURCES := $(LIB_SOURCES) $(SHOP_SOURCES) $(ROSTER) $(GENERIC_MAIN) $(CLI_SOURCES) $(WEB_SOURCES) \
    $(SVC_SOURCES) $(TEST_SOURCES) \
    $(HELPER_SOURCES) $(SIM_SOURCES) $(wildcard tests/fuzz/*.c) $(BENCH_SOURCES) \
    $(TOOL_SOURCES) $(PRELOAD_SOURCES) tests/fourth/shipping.c \
    $(wildcard tests/install/*.c)
SCRIPTS := run.sh .ci/run $(wildcard scripts/*.sh tests/*.sh tests/*/*.sh \
    bench/*.sh bench/*/*.sh examples/*/*.sh)

LIB := $(BUILD)/libevents.a
SHOP := $(BUILD)/shop.a
HELPERS := $(BUILD)/tests/helpers.a
# The domains without their main: what ./saga and the tests know of them.
DOMAINS := $(call objects,$(ROSTER) $(filter-out %/main.c,$(SVC_SOURCES)))
PURE := $(BUILD)/order-svc/order.o $(BUILD)/inventory-svc/inventory.o \
    $(BUILD)/payment-svc/payment.o

# What programs outside may include; the order is that of the manual page.  A
# header here includes no header of ours that is not here.
PUBLIC_HEADERS := $(addprefix libevents/, core/message.h core/domain.h \
    core/lexicon.h core/event.h core/service.h read/view.h host/host.h \
    net/client.h net/packer.h net/address.h stream/request.h core/codec.h core/json.h core/flow.h \
    audit/check.h audit/check_parts.h log/store.h base/status.h base/text.h) \
    $(addprefix saga-cli/, saga_main.h verbs.h saga.h story.h)

COMMANDS := $(SERVICES:%=$(BUILD)/bin/%) $(BUILD)/bin/saga $(BUILD)/bin/saga-web
GENERIC := $(BUILD)/saga-generic
TESTS := $(patsubst %.c,$(BUILD)/%,$(TEST_SOURCES))
TOOLS := $(patsubst %.c,$(BUILD)/%,$(TOOL_SOURCES))
PRELOADS := $(patsubst %.c,$(BUILD)/%.so,$(PRELOAD_SOURCES))
# Only what speaks NNG itself may be linked with it.
NNG_TESTS := $(patsubst %.c,$(BUILD)/%,$(shell grep -lE \
    '^.include [<"](nng|net|host)/' \
    $(TEST_SOURCES) /dev/null))

# ---- building ---------------------------------------------------------------

.PHONY: all
all: $(COMMANDS) $(GENERIC) $(if $(filter build,$(BUILD)),saga) ## build everything

# `make test` installs what is missing; any other goal says what to install.
PACKAGES := $(if $(filter test,$(MAKECMDGOALS)),install test,check build)
.PHONY: packages
packages:
	$(Q)scripts/packages.sh $(PACKAGES)

# Other flags or another compiler: everything is built anew.
FLAGS_FILE := $(BUILD)/flags
.PHONY: force
$(FLAGS_FILE): force
	@mkdir -p $(@D)
	@echo $(call quoted,$(COMPILE) $(LINK)) | cmp -s - $@ || \
	    echo $(call quoted,$(COMPILE) $(LINK)) > $@

$(BUILD)/%.o: %.c $(FLAGS_FILE) | packages
	@mkdir -p $(@D)
	$(call say,cc,$<)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

$(LIB): $(call objects,$(LIB_SOURCES))
$(SHOP): $(call objects,$(SHOP_SOURCES))
$(HELPERS): $(call objects,$(HELPER_SOURCES))
$(LIB) $(SHOP) $(HELPERS):
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(foreach s,$(SERVICES),$(eval $(BUILD)/bin/$(s): \
    $(call objects,$(filter $(s)/%,$(SVC_SOURCES)))))
$(BUILD)/bin/saga: $(call objects,$(CLI_SOURCES)) $(DOMAINS)
$(BUILD)/bin/saga-web: $(call objects,$(WEB_SOURCES))
$(BUILD)/bin/saga-web: NNG += -lmicrohttpd
$(BUILD)/saga-web/page.o: $(wildcard saga-web/page/*)
$(GENERIC): $(call objects,$(GENERIC_MAIN))
$(COMMANDS): $(SHOP)
$(COMMANDS) $(GENERIC): $(LIB)
	@mkdir -p $(@D)
	$(call say,ld,$@)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(NNG) $(LIBS)

saga: $(BUILD)/bin/saga
	$(Q)ln -sf $< $@

$(TESTS): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(DOMAINS) $(HELPERS) $(SHOP) $(LIB)
	$(call say,ld,$@)
	$(Q)$(LINK) -o $@ $^ \
	    $(if $(filter $@,$(NNG_TESTS)),$(CRITERION_WITH_NNG),$(CRITERION)) \
	    $(LIBS)

$(TOOLS): $(BUILD)/tests/tools/%: $(BUILD)/tests/tools/%.o $(SHOP) $(LIB)
	$(call say,ld,$@)
	$(Q)$(LINK) -o $@ $^ $(NNG) $(LIBS)

# Into programs that know of no sanitizer, too.
$(PRELOADS): $(BUILD)/%.so: %.c $(FLAGS_FILE) | packages
	@mkdir -p $(@D)
	$(call say,ld,$@)
	$(Q)$(filter-out -fsanitize% -fno-sanitize%,$(COMPILE)) -MMD -MP -fPIC -shared -o $@ $<

# What `make install` puts down.  Its command brings its library along, and so
# runs wherever it is installed.
STAGE := $(BUILD)/install
SONAME := libsagaevents.so.0
SHARED := $(STAGE)/$(SONAME)
PIC_OBJECTS := $(patsubst %.c,$(BUILD)/pic/%.o,$(LIB_SOURCES))
STAGED := $(SHARED) $(addprefix $(STAGE)/,libsagaevents.a saga saga.1 saga.bash sagaevents.3)
$(PIC_OBJECTS): $(BUILD)/pic/%.o: %.c $(FLAGS_FILE) | packages
	@mkdir -p $(@D)
	$(call say,cc,$<)
	$(Q)$(subst -fPIE,-fPIC,$(COMPILE)) -MMD -MP -c -o $@ $<
$(STAGE)/exports: scripts/exports.sh Makefile $(PUBLIC_HEADERS)
	@mkdir -p $(@D)
	$(Q)scripts/exports.sh $(PUBLIC_HEADERS) > $@
$(SHARED): $(PIC_OBJECTS) $(STAGE)/exports
	$(call say,ld,$@)
	$(Q)$(filter-out -pie,$(subst -fPIE,-fPIC,$(LINK))) -shared -Wl,-soname,$(SONAME) \
	    -Wl,--version-script=$(STAGE)/exports $(if $(SANITIZE),,-Wl,-z,defs) \
	    -o $@ $(PIC_OBJECTS) $(NNG) $(LIBS)
$(STAGE)/libsagaevents.a: $(LIB)
$(STAGE)/saga: $(GENERIC)
$(STAGE)/libsagaevents.a $(STAGE)/saga:
	@mkdir -p $(@D)
	$(Q)cp $< $@
$(STAGE)/saga.1: $(STAGE)/saga
	$(Q)$< man > $@
$(STAGE)/saga.bash: $(STAGE)/saga
	$(Q)$< completion bash > $@
$(STAGE)/sagaevents.3: scripts/man-library.sh Makefile VERSION $(PUBLIC_HEADERS) $(wildcard tests/install/*)
	@mkdir -p $(@D)
	$(Q)scripts/man-library.sh $(PUBLIC_HEADERS) > $@

# The services and ./saga as a next release may be, for tests of upgrades: all
# but the catalogue is the same.
NEXT := $(patsubst $(BUILD)/bin/%,$(BUILD)/tests/next/bin/%,$(filter-out %/saga-web,$(COMMANDS)))
$(BUILD)/tests/next/shop.c: shop/shop.c tests/next.sed
	@mkdir -p $(@D)
	$(Q)sed -f tests/next.sed $< > $@
$(BUILD)/tests/next/shop.o: $(BUILD)/tests/next/shop.c $(FLAGS_FILE)
	$(Q)$(COMPILE) -c -o $@ $<
$(foreach s,$(SERVICES),$(eval $(BUILD)/tests/next/bin/$(s): \
    $(call objects,$(filter $(s)/%,$(SVC_SOURCES)))))
$(BUILD)/tests/next/bin/saga: $(call objects,$(CLI_SOURCES)) $(DOMAINS)
$(NEXT): $(BUILD)/tests/next/shop.o $(SHOP) $(LIB)
	@mkdir -p $(@D)
	$(call say,ld,$@)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(NNG) $(LIBS)

# A service that ./saga was not built with, for test_fourth.sh.
FOURTH := $(BUILD)/tests/fourth/shipping-svc
$(BUILD)/tests/fourth/shop.c: shop/shop.c tests/fourth/catalogue.sed
	@mkdir -p $(@D)
	$(Q)sed -f tests/fourth/catalogue.sed $< > $@
$(BUILD)/tests/fourth/shop.o: $(BUILD)/tests/fourth/shop.c $(FLAGS_FILE)
	$(Q)$(COMPILE) -c -o $@ $<
# And one of the three that reads it.
READER := $(BUILD)/tests/fourth/order-svc
$(BUILD)/tests/fourth/order.c: order-svc/order.c tests/fourth/reader.sed
	@mkdir -p $(@D)
	$(Q)sed -f tests/fourth/reader.sed $< > $@
$(BUILD)/tests/fourth/order.o: $(BUILD)/tests/fourth/order.c $(FLAGS_FILE)
	$(Q)$(COMPILE) -c -o $@ $<
$(READER): $(BUILD)/tests/fourth/order.o $(BUILD)/tests/fourth/shop.o \
    $(call objects,$(filter-out %/order.c,$(filter order-svc/%,$(SVC_SOURCES)))) \
    $(SHOP) $(LIB)
	$(call say,ld,$@)
	$(Q)$(LINK) -o $@ $^ $(NNG) $(LIBS)
$(FOURTH): $(BUILD)/tests/fourth/shipping.o $(BUILD)/tests/fourth/shop.o $(LIB)
	$(call say,ld,$@)
	$(Q)$(LINK) -o $@ $^ $(NNG) $(LIBS)

# The simulation speaks no NNG, and brings its own faults and log.
SIM := $(BUILD)/tests/sim/sim
FUZZ_SIM := $(BUILD)/tests/sim/fuzz_sim
CUTS := $(BUILD)/tests/sim/cuts
$(SIM): $(BUILD)/tests/sim/main.o
$(FUZZ_SIM): $(BUILD)/tests/sim/fuzz_sim.o
$(CUTS): $(BUILD)/tests/sim/cuts.o $(BUILD)/tests/sample.o
$(SIM) $(FUZZ_SIM) $(CUTS): $(call objects,$(SIM_PARTS)) $(DOMAINS) $(SHOP) $(LIB)
	$(call say,ld,$@)
	$(Q)$(LINK) $(if $(filter $@,$(FUZZ_SIM)),-fsanitize=fuzzer) -o $@ \
	    $(filter %.o %.a,$^) $(LIBS)

BENCHES := $(BUILD)/bench/floor $(BUILD)/bench/smoke $(BUILD)/bench/layers \
    $(BUILD)/bench/one $(BUILD)/bench/either
$(BENCHES): $(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/bench/orders.o \
    $(BUILD)/tests/cluster.o $(DOMAINS) $(SHOP) $(LIB)
	$(call say,ld,$@)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(filter %.a,$^) \
	    $(if $(filter %/layers %/either,$@),$(NNG)) $(LIBS)
$(BUILD)/bench/layers: $(BUILD)/bench/start.o
$(BUILD)/bench/either: $(BUILD)/bench/use.o

# Fuzz targets: with libFuzzer's main, or with one that replays a corpus.
FUZZERS := $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/%)
REPLAYERS := $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/replay_%)
$(BUILD)/tests/fuzz/web $(BUILD)/tests/fuzz/replay_web: \
    $(call objects,saga-web/guard.c saga-web/page.c saga-web/wanted.c)
FUZZ_SEED := $(BUILD)/tests/fuzz/seed
FUZZ_COMMON := $(call objects,tests/fuzz/fuzz.c tests/fuzz/acts.c tests/cluster.c) \
    $(DOMAINS) $(SHOP) $(LIB)
$(FUZZERS): $(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_COMMON)
	$(call say,ld,$@)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS)
$(REPLAYERS): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o \
    $(BUILD)/tests/fuzz/replay.o $(FUZZ_COMMON)
	$(call say,ld,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(FUZZ_SEED): $(call objects,tests/fuzz/seed.c tests/sample.c) $(FUZZ_COMMON)
	$(call say,ld,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

-include $(patsubst %.c,$(BUILD)/%.d,$(SOURCES)) $(PIC_OBJECTS:.o=.d)

# ---- installing ---------------------------------------------------------------

# Each may be given, on the command line or in the environment.
PREFIX ?= /usr/local
prefix ?= $(PREFIX)
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
datadir ?= $(prefix)/share
mandir ?= $(datadir)/man
completionsdir ?= $(datadir)/bash-completion/completions
INSTALL := $(foreach v,DESTDIR prefix bindir libdir includedir mandir \
    completionsdir,$(v)=$(call quoted,$($(v)))) scripts/install.sh

.PHONY: stage install uninstall
stage: $(STAGED) ## build what make install puts down: then root only copies
install: stage ## the library, its headers, saga, manual pages: PREFIX=/usr/local DESTDIR=
	$(Q)$(INSTALL) install $(STAGE) $(PUBLIC_HEADERS)
# As it is for those who build on it: tests/test_conductor.sh, bench/conductor.sh.
INSTALLED := $(BUILD)/prefix/lib/pkgconfig/sagaevents.pc
$(INSTALLED): $(STAGED) $(PUBLIC_HEADERS) scripts/install.sh libevents/sagaevents.pc.in VERSION
	$(Q)p=$(call quoted,$(abspath $(BUILD)/prefix)) && \
	    prefix=$$p bindir=$$p/bin libdir=$$p/lib includedir=$$p/include \
	    mandir=$$p/man completionsdir=$$p/bash DESTDIR= \
	    scripts/install.sh install $(STAGE) $(PUBLIC_HEADERS) 2>/dev/null
uninstall: ## take away what make install has put down: PREFIX= DESTDIR= as there
	$(Q)$(INSTALL) uninstall $(STAGE) $(PUBLIC_HEADERS)

# ---- testing ----------------------------------------------------------------

# Those of commands and processes; `make test SHELL_TESTS=` leaves them out.
SHELL_TESTS ?= $(wildcard tests/test_*.sh)
.PHONY: test tests
tests: all $(TESTS) $(TOOLS) $(NEXT) $(FOURTH) $(READER) $(INSTALLED) $(PRELOADS) $(BUILD)/bench/layers $(BUILD)/bench/floor ## build the tests without running them
test: tests ## install what is missing, build, and run every test
	$(Q)scripts/test.sh $(BUILD) $(TESTS) $(SHELL_TESTS)

.PHONY: test-debian13
test-debian13: ## build, tests and demo on a Debian 13 made by debootstrap
	$(Q)scripts/debian13.sh run

.PHONY: test-previous
test-previous: tests ## the previous release reads today's logs, and works beside today's services
	$(Q)scripts/test.sh $(BUILD) tests/previous.sh

.PHONY: test-schemas
test-schemas: all $(TOOLS) ## AsyncAPI and CloudEvents, as programs of others read them
	$(Q)scripts/test.sh $(BUILD) tests/schemas.sh

.PHONY: test-web
test-web: all $(TOOLS) ## a visitor of the live page, in Debian's Chromium
	$(Q)TEST_TIMEOUT=600 scripts/test.sh $(BUILD) tests/web.sh

.PHONY: test-metrics
test-metrics: all $(TOOLS) ## saga-web's metrics, as promtool and Prometheus read them
	$(Q)scripts/test.sh $(BUILD) tests/metrics.sh

.PHONY: golden
golden: $(BUILD)/tests/test_golden ## write this version's logs to tests/golden/
	$(Q)SAGA_GOLDEN=tests/golden $< --filter 'golden/todays_*'

.PHONY: worlds
worlds: $(BUILD)/tests/test_worlds ## write how the small worlds end to tests/worlds.txt
	$(Q)sed -n '/^#/p' tests/worlds.txt > tests/worlds.new && \
	    echo >> tests/worlds.new && \
	    SAGA_WORLDS=tests/worlds.new $< -j1 && \
	    mv tests/worlds.new tests/worlds.txt

.PHONY: sim sim-smoke sim-long fuzz-sim bugs
SEED ?= 1
sim: $(SIM) ## one simulated run, a line for each event: SEED=...
	$(Q)$(SIM) --seed $(SEED) --trace --keep $(BUILD)
sim-smoke: $(SIM) $(CUTS) ## the simulation as CI runs it, for two minutes
	$(Q)tests/sim/smoke.sh $(BUILD)
sim-long: $(SIM) ## the simulation until something breaks: SEED=... MINUTES=...
	$(Q)$(SIM) --seed $(SEED) --minutes $(or $(MINUTES),1000000) \
	    --require-sometimes --keep $(BUILD)

# What libFuzzer finds stays in FUZZ_CORPUS; what it breaks is in crash-*.
FUZZ_CORPUS ?= build/corpus-sim
FUZZ_SECONDS ?= 60
fuzz-sim: ## libFuzzer drives the simulation: FUZZ_SECONDS=60
	$(Q)$(MAKE) -s CC=clang CFLAGS='-O1 -g' BUILD=build/fuzz \
	    SANITIZE=fuzzer-no-link,address,undefined \
	    build/fuzz/tests/sim/fuzz_sim
	$(Q)mkdir -p $(FUZZ_CORPUS)
	$(Q)build/fuzz/tests/sim/fuzz_sim -max_len=4096 -timeout=120 \
	    -print_final_stats=1 -artifact_prefix=build/ \
	    -max_total_time=$(FUZZ_SECONDS) -seed=$(or $(SEARCH_SEED),0) \
	    $(FUZZ_CORPUS) tests/sim/seeds

bugs: ## each seeded bug is noticed, and by the right invariant
	$(Q)tests/bugs/run.sh

# Real processes, hurt at every call: see tests/README.md.
.PHONY: crash crash-smoke crash-tools
crash-tools: all $(TOOLS) $(PRELOADS)
crash: crash-tools ## kill -9 at every call that writes, and more (an hour)
	$(Q)SAGA_BUILD=$(BUILD) tests/crash/run.sh all
crash-smoke: crash-tools ## the same as CI runs it, for some minutes
	$(Q)SAGA_BUILD=$(BUILD) tests/crash/run.sh smoke

.PHONY: demo
demo: all ## the whole story on real processes, without a terminal
	$(Q)SAGA_BUILD=$(BUILD) ./run.sh demo

# libFuzzer is clang's, and needs everything built with its instrumentation.
FUZZ_BUILD := build/fuzz
FUZZ_FLAGS := CC=clang BUILD=$(FUZZ_BUILD) CFLAGS='-O1 -g' \
    SANITIZE=fuzzer-no-link,address,undefined
SECONDS ?= 120
.PHONY: fuzz fuzzers fuzz-replay fuzz-seed
fuzzers: $(FUZZERS)
fuzz: ## look for inputs that break something, for SECONDS=120 in all
	$(Q)$(MAKE) $(FUZZ_FLAGS) fuzzers
	$(Q)SEARCH_SEED=$(SEARCH_SEED) scripts/fuzz.sh run $(FUZZ_BUILD) $(SECONDS) $(FUZZ_TARGETS)
fuzz-replay: $(REPLAYERS) ## run every kept input through its target once
	$(Q)scripts/fuzz.sh replay $(BUILD) $(FUZZ_TARGETS)
fuzz-seed: $(FUZZ_SEED) ## write the inputs anew that a search starts from
	$(Q)scripts/fuzz.sh seed $(BUILD) $(FUZZ_TARGETS)

# gcc's own counters, without optimisation: a branch is one of the source.
COVERAGE := build/coverage
.PHONY: coverage coverage-list coverage-build
coverage: coverage-build ## the branches never taken are those on the list, with reasons
	$(Q)scripts/coverage.sh check $(COVERAGE)
coverage-list: coverage-build ## write the list of branches never taken
	$(Q)scripts/coverage.sh write $(COVERAGE)
coverage-build:
	$(Q)$(MAKE) CC=gcc BUILD=$(COVERAGE) \
	    CFLAGS='-O0 -g -Wno-error --coverage -fprofile-update=prefer-atomic' tests \
	    $(COVERAGE)/tests/sim/sim \
	    $(FUZZ_TARGETS:%=$(COVERAGE)/tests/fuzz/replay_%)

.PHONY: proof
proof: all ## everything that tries to break it, MINUTES=10, then the fault matrix
	$(Q)scripts/proof.sh $(or $(MINUTES),10)

# ---- measuring --------------------------------------------------------------

.PHONY: bench
bench: all $(BUILD)/bench/floor ## the system against the floor, in turn
	$(Q)bench/run.sh $(BUILD)

# The same saga on what others would take for it.  Their libraries are for this
# target alone.
PEERS := $(BUILD)/bench/peers
PEER_PROGRAMS := $(PEERS)/redis $(PEERS)/postgres $(PEERS)/syncs.so
PEER_BUGS := $(PEERS)/redis-bug $(PEERS)/postgres-bug
.PHONY: bench-peers bench-peers-check bench-load peer-packages
bench-peers: all $(BUILD)/bench/floor $(PEER_PROGRAMS) ## the system beside Redis and PostgreSQL: TURNS=5, SECONDS=5
	$(Q)PEERS_TURNS=$(or $(TURNS),5) \
	    PEERS_SECONDS=$(if $(filter file,$(origin SECONDS)),5,$(SECONDS)) \
	    bench/peers/run.sh $(BUILD)
bench-load: all $(PEER_PROGRAMS) ## rate by orders in flight, latency by offered rate, and the plots
	$(Q)bench/load.sh $(BUILD)
bench-peers-check: $(PEER_PROGRAMS) $(PEER_BUGS) ## the peers' totals hold, and do not with a bug
	$(Q)bench/peers/run.sh $(BUILD) check
peer-packages:
	$(Q)scripts/packages.sh install peers
PEER_LIBS = $(shell pkg-config --cflags --libs hiredis libpq)
$(PEERS)/%: bench/peers/%.c bench/peers/peer.c bench/peers/peer.h | peer-packages
	@mkdir -p $(@D)
	$(call say,ld,$@)
	$(Q)$(COMPILE) -pie -o $@ $(filter %.c,$^) $(PEER_LIBS)
$(PEERS)/%-bug: $(PEERS)/%-bug.c bench/peers/peer.c bench/peers/peer.h | peer-packages
	$(call say,ld,$@)
	$(Q)$(COMPILE) -Ibench/peers -pie -o $@ $(filter %.c,$^) $(PEER_LIBS)
# A consumer of payment that is not idempotent.
$(PEERS)/%-bug.c: bench/peers/%.c
	@mkdir -p $(@D)
	$(Q)sed -e "s/'StockReserved' and not state/'StockReserved'/" \
	    -e "/INSERT INTO charges/s/charged') ON CONFLICT DO NOTHING/charged') ON CONFLICT DO NOTHING; PERFORM 1/" $< > $@
	$(Q)! cmp -s $< $@
$(PEERS)/syncs.so: bench/peers/syncs.c | peer-packages
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -fPIC -shared -o $@ $<

.PHONY: bench-conductor
bench-conductor: all $(INSTALLED) $(BUILD)/bench/either ## the shop against the conducted one, in turn
	$(Q)bench/conductor.sh $(BUILD)

.PHONY: bench-layers
bench-layers: all $(BUILD)/bench/layers ## each layer alone, and cost against size
	$(Q)bench/layers.sh $(BUILD)

.PHONY: bench-smoke bench-smoke-write
bench-smoke: $(BUILD)/bench/smoke ## instructions of a saga, compared with bench/smoke.txt
	$(Q)$(ONLY_ON_12); CC='$(CC)' bench/smoke.sh check $(BUILD)
bench-smoke-write: $(BUILD)/bench/smoke ## write them to bench/smoke.txt
	$(Q)$(ONLY_ON_12); CC='$(CC)' bench/smoke.sh write $(BUILD)

# ---- scenarios and the ablation lab -------------------------------------------

.PHONY: scenarios
scenarios: all ## break it in every way of scenarios/, on real processes
	$(Q)scripts/scenario.sh run --all

.PHONY: lab
lab: all ## build without protections: make lab WITHOUT=inbox,guards
	$(Q)scripts/lab.sh $(if $(OLDER),older $(OLDER),without '$(WITHOUT)')

.PHONY: lab-test
lab-test: all ## each scenario without what its file names: red or green?
	$(Q)scripts/lab-test.sh $(SCENARIO)
	$(Q)$(if $(SCENARIO),:,scripts/lab-worlds.sh check)

.PHONY: lab-worlds
lab-worlds: all $(BUILD)/tests/test_worlds ## write what a search finds where a protection is missing
	$(Q)scripts/lab-worlds.sh write

# ---- again and again ----------------------------------------------------------

# Of the test binaries, those that wait for sockets and processes.
.PHONY: soak ci-timing
soak: tests $(BUILD)/bench/one ## find what fails only sometimes, beside busy loops: N=40 ONLY='scenario-* test_cli.sh'
	$(Q)scripts/soak.sh run '$(or $(N),40)' '$(ONLY)' $(notdir $(NNG_TESTS))
ci-timing: ## the part of .ci/run that depends on time, to run beside load
	$(Q).ci/run timing

# ---- documents --------------------------------------------------------------

.PHONY: docs docs-test
docs: all $(BUILD)/bench/one ## write quoted code, the tree, and what commands print into the documents
	$(Q)scripts/docs.sh write
	$(Q)scripts/docs.sh record
docs-test: all $(BUILD)/bench/one ## links, words, quoted code, the tree, hard cases, every command
	$(Q)scripts/docs.sh check
	$(Q)scripts/docs.sh run

.PHONY: man completion
man: $(BUILD)/saga.1 ## write the manual page of saga to build/saga.1
completion: $(BUILD)/saga.bash ## write the completion of saga to build/saga.bash
$(BUILD)/saga.1: $(BUILD)/bin/saga
	$(Q)$< man > $@
$(BUILD)/saga.bash: $(BUILD)/bin/saga
	$(Q)$< completion bash > $@

# ---- checks -----------------------------------------------------------------

.PHONY: check
check: check-pure check-layers check-format check-flow check-compat shellcheck lint ## all of these:

.PHONY: check-pure
check-pure: $(PURE) ## the domains call nothing but pure functions
	$(Q)scripts/check-pure.sh tests/pure-symbols.txt $(PURE)

# What Debian 12's versions alone decide is demanded on Debian 12 alone.
ONLY_ON_12 = [ "$$(scripts/packages.sh release)" = 12 ] || \
    { echo '$@: not checked: on Debian 12 only'; exit 0; }

.PHONY: check-layers
check-layers: ## no arrow runs up, and every name says its module
	$(Q)scripts/check-layers.sh

.PHONY: check-format
check-format: ## every C file is as clang-format 14 would write it
	$(Q)$(ONLY_ON_12); clang-format-14 --dry-run -Werror $(SOURCES) $(wildcard \
	    examples/*/*.[ch] \
	    $(addsuffix /*.h,libevents/* libevents/net/nng shop shop/cli saga-cli saga-web tests \
	    tests/sim tests/fuzz bench bench/peers $(SERVICES))) \
	    $(wildcard bench/peers/*.c)

.PHONY: check-flow
check-flow: all ## the README's picture is what `saga flow` prints
	$(Q)scripts/flow.sh check $(BUILD)/bin/saga

.PHONY: check-compat released
check-compat: $(BUILD)/tests/tools/compat ## messages are as they were released, new ones are complete
	$(Q)scripts/compat.sh check $(BUILD)
released: $(BUILD)/tests/tools/compat ## write this version's catalogue to shop/released/
	$(Q)scripts/compat.sh release $(BUILD)

.PHONY: flow
flow: all ## write the picture that `saga flow` prints into the README
	$(Q)scripts/flow.sh write $(BUILD)/bin/saga

.PHONY: shellcheck
shellcheck: ## every script
	$(Q)shellcheck -x $(SCRIPTS)

# cppcheck 2.10 sees neither through uthash's macros nor through functions
# that fill a struct, nor which functions are pure; compilers and sanitizers do.
LINT_SUPPRESS := missingIncludeSystem unknownMacro uninitvar \
    assertWithSideEffect
.PHONY: lint
lint: ## clang-tidy 14 and cppcheck (slow)
	$(Q)$(ONLY_ON_12); clang-tidy-14 --quiet $(SOURCES) -- $(DIALECT)
	$(Q)$(ONLY_ON_12); cppcheck --quiet --error-exitcode=1 --inline-suppr \
	    --enable=warning,performance,portability \
	    $(LINT_SUPPRESS:%=--suppress=%) \
	    $(filter-out -std=%,$(DIALECT)) $(filter-out tests/%,$(SOURCES))

# ---- for editors and contributors ---------------------------------------------

# What clangd and the linters want to know, without another program to ask.
.PHONY: compile_commands.json
compile_commands.json: ## how each file is compiled, for clangd and others
	$(Q){ echo '['; \
	    for file in $(SOURCES); do \
	        printf '%s{"directory": "%s", "file": "%s", "command": "%s"}\n' \
	            "$$comma" '$(CURDIR)' "$$file" \
	            $(call quoted,$(subst ",\",$(COMPILE)))" -c $$file"; \
	        comma=,; \
	    done; echo ']'; } > $@

.PHONY: hooks
hooks: ## have git run the quick checks before each commit
	$(Q)ln -sf ../../scripts/pre-commit.sh "$$(git rev-parse --git-path hooks)/pre-commit"
	@echo 'hooks: git runs scripts/pre-commit.sh before each commit'

# ---- the rest ---------------------------------------------------------------

.PHONY: clean
clean: ## remove what was built; ./var with its data stays
	rm -rf $(BUILD) $(if $(filter build,$(BUILD)),saga)

.PHONY: help
help: ## this list
	@grep -E '^[a-z0-9_.-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 23

.DEFAULT_GOAL := all
