# make           build/vipd and build/vipctl          make check   every test, ends with the totals
# make demo      the main job, to watch               make lint    format, clang-tidy, man pages
# make static    build/static/vipd: no shared library, TLS=none without TLS, HOST=aarch64-linux-gnu
# make install   honours DESTDIR and the six below    V=1 shows the commands
# VIPD_REWRITE=1 make TARGET   what measures also writes its table in tests/README.md

VERSION    := 0.2.1
PREFIX     ?= /usr
SYSCONFDIR ?= /etc
RUNDIR     ?= /run
MANDIR     ?= $(PREFIX)/share/man
ZSHDIR     ?= $(PREFIX)/share/zsh/site-functions
STRIP      ?= -s
B          := build

# All processors, unless -j says otherwise.
ifeq ($(MAKELEVEL)$(filter clean,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(or $(shell nproc 2>/dev/null),1)
endif

PACKAGES   := libcurl libmnl libcares RapidJSON
LIBS       := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

CXXFLAGS   ?= -O2 -g1
CPPFLAGS   += -Iinclude -Isrc -Itests $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null) \
              -DVIPD_VERSION='"$(VERSION)"' -DVIPD_SYSCONFDIR='"$(SYSCONFDIR)"' \
              -DVIPD_RUNDIR='"$(RUNDIR)"'
# A package turns this off: a compiler that is newer than ours may warn of more.
WERROR     ?= -Werror
STRICT     := -std=c++20 -fno-exceptions -fno-rtti -Wall -Wextra $(WERROR) -Wswitch-enum \
              -Wshadow=local -Wno-unknown-warning-option
# A level in a distribution's flags is kept. Ubuntu's compiler has one built in: a second definition
# without -U is a warning.
FORTIFY    := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CXXFLAGS)),,-U_FORTIFY_SOURCE \
              -D_FORTIFY_SOURCE=2)
HARDEN     := $(FORTIFY) -D_GLIBCXX_ASSERTIONS -fstack-protector-strong -fstack-clash-protection \
              -fPIE
# Debian has libstdc++ as an archive: linked in, it saves a megabyte of memory (make size).
LDHARDEN   := -static-libstdc++ -static-libgcc -pie -Wl,-z,relro,-z,now,-z,noexecstack \
              -Wl,--as-needed
# Without RTTI there is no vptr to check; -Og builds in half of the time of -O1.
SANITIZE   ?= -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all \
              -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS -Og -g1

FUZZ_CXX   ?= clang++
# RapidJSON adds to null pointers in its own asserts, which only clang minds.
FUZZER     := -fsanitize=fuzzer,address,undefined -fno-sanitize=vptr,pointer-overflow \
              -fno-sanitize-recover=all \
              -D_GLIBCXX_ASSERTIONS -O1 -g1

# Three flavours of every object by the same recipe: build/obj to ship, build/san to test,
# build/fuzz to find what no test thought of.
$(B)/obj/% $(B)/vipd: FLAVOUR = $(HARDEN)
$(B)/san/%:           FLAVOUR = $(SANITIZE)
# A hundred test programs are linked: gold, where there is one, needs two thirds of the time.
$(B)/san/%:           LDFLAGS += $(if $(shell command -v ld.gold),-fuse-ld=gold)
# What is tested is watched for undefined behaviour, not what tests: a third of their compile time.
$(B)/san/tests/%.o:   FLAVOUR = $(SANITIZE) -fno-sanitize=undefined
$(B)/fuzz/%:          FLAVOUR = $(FUZZER)
$(B)/fuzz/%:          CXX = $(FUZZ_CXX)

SOURCES := $(shell find src -name '*.cpp')
UNITS   := $(patsubst %.cpp,$(B)/san/%,$(wildcard tests/unit/test_*.cpp))
FUZZ    := $(patsubst %.cpp,%,$(wildcard tests/fuzz/fuzz_*.cpp))

Q := $(if $(V),,@)
say = $(if $(V),,@echo '  $(1)')
# After `sudo make TARGET`: what it built belongs to the owner of the sources, who goes on without.
give_back = status=$$?; chown -R --reference=Makefile $(B) 2>/dev/null; exit $$status

.PHONY: all check check-figures check-metrics check-page check-peers check-hold check-patroni check-managers check-network check-etcd-versions check-antietcd bench-etcd bench-scale demo sim same-stories model mutants scenarios fuzz lint size \
        install clean unit integration daemons test-programs format tidy lint-files
all: $(B)/vipd $(B)/vipctl

# ---- compile and link --------------------------------------------------------------------------

define compile
	$(if $(LIBS),,$(error $(PACKAGES) or pkg-config missing; please run: sudo tools/setup build))
	@mkdir -p $(@D)
	$(call say,CXX  $@)
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS) $(STRICT) $(FLAVOUR) -MMD -MP -c -o $@ $<
endef

define link
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(CXX) $(CXXFLAGS) $(FLAVOUR) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)
endef

define archive
	@mkdir -p $(@D)
	$(call say,AR   $@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
endef

# What is tested is compiled with the headers that most files include read once. What is shipped is
# not, so that a header that a file does not name is missed there.
EARLY := tests/early.hpp
$(B)/san/early.hpp.gch: FLAVOUR = $(SANITIZE)
$(B)/san/tests/early.hpp.gch: FLAVOUR = $(SANITIZE) -fno-sanitize=undefined
$(B)/san/early.hpp.gch $(B)/san/tests/early.hpp.gch: $(EARLY) Makefile; $(compile)
$(B)/san/src/%.o: private CPPFLAGS += -include $(B)/san/early.hpp
$(B)/san/tests/%.o: private CPPFLAGS += -include $(B)/san/tests/early.hpp
$(B)/obj/%.o: %.cpp Makefile; $(compile)
$(B)/san/src/%.o: src/%.cpp Makefile $(B)/san/early.hpp.gch; $(compile)
$(B)/san/tests/%.o: tests/%.cpp Makefile $(B)/san/tests/early.hpp.gch; $(compile)
$(B)/fuzz/%.o: %.cpp Makefile; $(compile)

$(B)/vipd: LDFLAGS += $(LDHARDEN)
$(B)/vipd: $(SOURCES:%.cpp=$(B)/obj/%.o); $(link)
$(B)/san/vipd: $(SOURCES:%.cpp=$(B)/san/%.o); $(link)
$(B)/vipctl: ; $(Q)mkdir -p $(B) && ln -sfn vipd $@

# Every test program is its own source and an archive of all objects: the linker takes what it needs.
# The sources under tests are those that several tests share.
LINKED  := $(filter-out src/main.cpp,$(SOURCES)) \
           $(addprefix tests/,unit/completion.cpp sim/store.cpp sim/story.cpp sim/tally.cpp)
ARCHIVES := $(B)/san/libvipd.a $(B)/fuzz/libvipd.a
$(B)/san/libvipd.a: $(LINKED:%.cpp=$(B)/san/%.o)
$(B)/fuzz/libvipd.a: $(LINKED:%.cpp=$(B)/fuzz/%.o)
$(ARCHIVES): ; $(archive)
$(UNITS): %: %.o $(B)/san/libvipd.a; $(link)
$(FUZZ:%=$(B)/san/%): %: %.o $(B)/san/tests/fuzz/replay.o $(B)/san/libvipd.a; $(link)
$(FUZZ:%=$(B)/fuzz/%): %: %.o $(B)/fuzz/libvipd.a; $(link)

# The integration tests' own instrument.
$(B)/witness: $(B)/obj/tests/integration/witness.o; $(link)

# ---- static ------------------------------------------------------------------------------------

# One file that needs nothing but a kernel: musl, and libraries that tools/static-deps builds.
NATIVE    := $(shell gcc -dumpmachine 2>/dev/null)
HOST      ?= $(NATIVE)
TLS       ?= mbedtls
STATIC    := $(B)/static$(if $(filter $(NATIVE),$(HOST)),,-$(HOST))$(if $(filter none,$(TLS)),-none)
DEPS      := $(B)/static-deps/$(HOST)
CCACHED   := $(filter ccache,$(CXX))
CROSS     := $(if $(filter $(NATIVE),$(HOST)),,$(HOST)-)
TLS_LIBS  := $(if $(filter none,$(TLS)),,-lmbedtls -lmbedx509 -lmbedcrypto)
SMALL     := -Oz -fPIE -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
             -fno-unwind-tables -flto=auto -fstack-protector-strong -ffile-prefix-map=$(CURDIR)=. \
             -Wall -Wextra $(WERROR)
SMALLXX   := $(SMALL) $(STRICT) -fno-threadsafe-statics -D_GLIBCXX_ASSERTIONS
STATIC_PP := -Iinclude -Isrc -Itests -I$(DEPS)/tls-$(TLS)/include -DCURL_STATICLIB -DCARES_STATICLIB \
             -DVIPD_WITHOUT_MANUAL -include tools/static/musl.h $(filter -DVIPD_%,$(CPPFLAGS))

.PHONY: check-vm check-appliance check-apparmor static image check-static check-init check-reproducible check-cross cross-units compare dist deb apk check-deb release
static: $(STATIC)/vipd $(STATIC)/vipctl

$(DEPS)/done/curl-$(TLS): tools/static-deps tools/static/sources tools/static/vipd_mbedtls.h \
                          $(wildcard tools/static/*.patch)
	@tools/static-deps $(HOST) $(TLS) $(TARBALLS)

$(STATIC)/%.cpp.o: %.cpp Makefile $(DEPS)/done/curl-$(TLS) tools/static/musl.h
	@mkdir -p $(@D)
	$(call say,CXX  $@)
	$(Q)$(CCACHED) $(DEPS)/bin/c++ $(STATIC_PP) $(SMALLXX) -MMD -MP -c -o $@ $<
$(STATIC)/%.c.o: %.c Makefile $(DEPS)/done/curl-$(TLS)
	@mkdir -p $(@D)
	$(call say,CC   $@)
	$(Q)$(CCACHED) $(DEPS)/bin/cc $(SMALL) -c -o $@ $<

# Addresses to be corrected at the start, packed: 41,000 bytes less (musl reads them since 1.2.4).
RELOCS  := -Wl,-z,pack-relative-relocs
# The whole program at once: 8,000 bytes less.
WHOLE   := -flto-partition=one
# What every static program is linked with, besides its own objects.
RUNTIME := $(patsubst %,$(STATIC)/%.o,tools/static/runtime.cpp tools/static/shims.c)
define link_static
	$(call say,LINK $@)
	$(Q)$(DEPS)/bin/c++ $(SMALLXX) $(WHOLE) -o $@ $(filter %.o %.a,$^) -L$(DEPS)/tls-$(TLS) -lcurl $(TLS_LIBS) \
	  -lcares -lmnl -Wl,--gc-sections $(RELOCS)
endef
$(STATIC)/vipd.unstripped: $(patsubst %,$(STATIC)/%.o,$(sort $(SOURCES))) $(RUNTIME); $(link_static)
$(STATIC)/vipd: $(STATIC)/vipd.unstripped
	$(Q)$(CROSS)strip -o $@ $<
$(STATIC)/vipctl: ; $(Q)mkdir -p $(@D) && ln -sfn vipd $@

# A container's root: contrib/docker.
image: static
	@tools/image $(STATIC) $(B)/image.tar

# The main job, with the static daemon.
check-static: static image all $(B)/witness $(B)/san/vipd
	@tools/setup run
	VIPD=$(STATIC)/vipd tests/integration/run $(or $(TESTS),static_in_an_empty_root \
	  static_dead_name_server static_image static_needs_no_library static_names_what_it_cannot_take \
	  static_system_authorities graceful_sigterm daemon_restarted host_dies)

# Under each init system of contrib/init, unpacked from Debian's packages; procd is not in Debian.
check-init: all $(B)/witness $(B)/san/vipd
	@tools/setup run
	@tools/unpack busybox-static runit openrc librc1 libeinfo1 s6 libs6-2.11 libskarnet2.13 \
	  execline libexecline2.9
	OTHERS=$(B)/others tests/integration/run $(or $(TESTS),$(addprefix init_,sysv busybox openrc \
	  runit s6 systemd))

# Sources and a list of what the static daemon links; the same commit gives the same bytes.
dist:
	@tools/setup dist
	@tools/dist $(VERSION)

deb:
	@tools/setup build deb
	@tools/dist $(VERSION)
	@tools/deb $(VERSION)

# On Alpine.
apk: dist
	@tools/apk $(VERSION)

# The package without a word of lintian, and its autopkgtest with the programs that are in it.
check-deb: deb
	@tools/setup run lintian
	@lintian --fail-on error,warning $(B)/deb/vipd_$(VERSION)_*.deb
	@dpkg-deb -x $(B)/deb/vipd_$(VERSION)_*.deb $(B)/deb/root
	@PATH=$(CURDIR)/$(B)/deb/root/usr/sbin:$(CURDIR)/$(B)/deb/root/usr/bin:$$PATH \
	  contrib/debian/tests/hand-over

# All that is released, from a clean tree and built twice; HOSTS are those of the static binaries.
release:
	@tools/setup build release
	@tools/release $(VERSION) $(or $(HOSTS),$(NATIVE) aarch64-linux-gnu arm-linux-gnueabihf)

# Twice from that tarball, in two folders and at two dates: some ten minutes.
check-reproducible:
	@tools/setup build static dist reproducible
	@$(MAKE) --no-print-directory dist static
	@tools/reproduce $(VERSION) $(TLS)

# For other processors, by Debian's cross compilers; run under qemu-user as far as that goes. What
# tests of the command line start is the native program.
STATIC_UNITS := $(UNITS:$(B)/san/%=$(STATIC)/%)
$(STATIC)/libvipd.a: $(LINKED:%=$(STATIC)/%.o)
	$(call say,AR   $@)
	$(Q)rm -f $@ && $(CROSS)gcc-ar rcs $@ $^
$(STATIC_UNITS): %: %.cpp.o $(RUNTIME) $(STATIC)/libvipd.a; $(link_static)

# s390x has the other order of bytes. Of its glibc and no library: the packet fence's instructions,
# the frames, the core and its scenarios.
SWAPPED       := $(B)/s390x-linux-gnu
SWAPPED_PARTS := $(wildcard src/core/*.cpp) $(addprefix src/net/,arp.cpp ndp.cpp fence_memory.cpp \
                 fence_program.cpp peer_frame.cpp) \
                 $(addprefix tests/sim/,store.cpp story.cpp tally.cpp)
SWAPPED_UNITS := $(basename $(addprefix $(SWAPPED)/,$(wildcard tests/unit/test_core*.cpp) \
                 $(addprefix tests/unit/,test_arp.cpp test_ndp.cpp test_fence_program.cpp \
                 test_peer_frame.cpp test_scenarios.cpp)))
SWAPPED_CXX   := s390x-linux-gnu-g++ -O1 -Iinclude -Isrc -Itests $(STRICT) -D_GLIBCXX_ASSERTIONS
$(SWAPPED)/%.o: %.cpp Makefile
	@mkdir -p $(@D)
	$(call say,CXX  $@)
	$(Q)$(CCACHED) $(SWAPPED_CXX) -idirafter $$(pkg-config --variable=includedir RapidJSON) \
	  -MMD -MP -c -o $@ $<
$(SWAPPED)/libvipd.a: AR = s390x-linux-gnu-ar
$(SWAPPED)/libvipd.a: $(SWAPPED_PARTS:%.cpp=$(SWAPPED)/%.o); $(archive)
$(SWAPPED_UNITS): %: %.o $(SWAPPED)/libvipd.a
	$(call say,LINK $@)
	$(Q)$(SWAPPED_CXX) -static -o $@ $^

CROSS_HOSTS = $(or $(HOSTS),aarch64-linux-gnu arm-linux-gnueabihf s390x-linux-gnu)
cross-units: $(if $(filter s390x-%,$(HOST)),$(SWAPPED_UNITS),static $(STATIC_UNITS))
check-cross: all
	@tools/setup build cross
	@for host in $(CROSS_HOSTS); do \
	  $(MAKE) --no-print-directory cross-units HOST=$$host || exit 1; done
	@tools/figures $@ tests/cross $(CROSS_HOSTS)

# ---- test --------------------------------------------------------------------------------------

# What the integration tests and the simulator need; the unit tests come with test-programs.
daemons: all $(B)/san/vipd $(B)/witness $(B)/vipd-sim
test-programs: daemons $(UNITS) $(FUZZ:%=$(B)/san/%)

# A second make, because tools/setup may bring what this one did not find.
unit: PROGRAMS := test-programs
check unit integration:
	@tools/setup build run
	@$(MAKE) --no-print-directory $(or $(PROGRAMS),daemons)
	@[ $@ != check ] || timeout 30 tools/unpack keepalived || true
	@$(if $(VIPD_REWRITE),$(if $(filter integration,$@),tools/figures $@)) tests/run $(if $(filter check,$@),,$@) $(TESTS); \
	  $(give_back)

# The integration tests, or TESTS of them, with every etcd that Debian's suites offer.
check-etcd-versions:
	@tools/setup build run
	@$(MAKE) --no-print-directory test-programs
	@tests/integration/versions $(TESTS)

# The peer lease by the clock, again and again, with timeouts of 1 s and 250 ms: some five minutes.
check-peers: all $(B)/witness $(B)/san/vipd
	@tools/setup run
	OFTEN=1 tools/figures $@ tests/integration/run -j 1 peer_owner_lost_often \
	  peer_owner_lost_often_250ms peer_nothing_lost_often peer_nothing_lost_250ms

# Holding on without etcd: outages of a minute, and what goes wrong meanwhile; a quarter of an hour.
# OLD names a daemon of a former version, for the rolling upgrade.
check-hold: all $(B)/witness $(B)/san/vipd
	@tools/setup run
	HOLD=1 tests/integration/run -j 1 $(or $(TESTS),\
	  $$(HOLD=1 tests/integration/run --list | grep ^hold_))

# PostgreSQL under Patroni, of Debian's packages postgresql and patroni: two minutes.
check-patroni: all $(B)/witness $(B)/san/vipd
	@tools/setup run patroni
	PATRONI=1 tests/integration/run -j 1 patroni_leads_the_vip

# DHCP clients, systemd-networkd and NetworkManager beside a VIP: from Debian, unpacked and not
# installed; six minutes.
check-managers: all $(B)/witness $(B)/san/vipd
	@tools/setup run vm
	@tools/unpack isc-dhcp-client udhcpc network-manager libnm0 libndp0 libteamdctl0 \
	  libbluetooth3 libmm-glib0 libjansson4 libcurl3-gnutls systemd
	OTHERS=$(B)/others tests/integration/run -j 1 $(or $(TESTS),$(addprefix managers_,udhcpc \
	  dhclient networkd network_manager flush))

# What the network is told and asked again, minute by minute: two minutes.
check-network: all $(B)/witness
	@tools/setup run
	OFTEN=1 tests/integration/run asked_and_looked_at_again

# What a busy machine would spoil, one test after the other: hand-overs beside etcdctl elect, how
# soon an address is announced, defended and let go, what an idle owner costs. Four minutes.
check-figures: all $(B)/witness $(B)/san/vipd
	@tools/setup run
	ALONE=1 tools/figures $@ tests/integration/run -j 1 graceful_sigterm graceful_resign \
	  graceful_rolling address_and_announcements ipv6_address_and_announcements \
	  foreign_host_is_left_alone_then_defended_against sigterm_without_etcd \
	  connections_are_reset_on_release others_at_our_address idle_cost_1_vip idle_cost_100_vips

# Beside another implementation of etcd's gateway, which comes from npm into build/.
ANTIETCD := $(B)/antietcd/node_modules/antietcd/antietcd-app.js
check-antietcd: all $(B)/witness $(B)/san/vipd
	@tools/setup run node
	@test -e $(ANTIETCD) || npm install --prefix $(B)/antietcd --ignore-scripts --no-audit \
	  --no-fund --silent antietcd@1.3.1
	ANTIETCD=$(CURDIR)/$(ANTIETCD) tests/integration/run antietcd_alone antietcd_beside_etcd

# Whole machines in QEMU, on Debian's kernel, which is unpacked and not installed: some ten minutes
# each. TESTS names cases; ACCEL=tcg or kvm.
check-vm check-appliance check-apparmor:
	@tools/setup build run vm
	@$(MAKE) --no-print-directory all static $(B)/witness
	@[ $@ != check-apparmor ] || tools/unpack apparmor libapparmor1
	@INTO=$(B)/kernel tools/unpack "$$(apt-cache depends linux-image-cloud-amd64 | \
	  sed -n '0,/.*Depends: */s///p')"
	@tests/vm/run $(@:check-%=%) $(TESTS)

# promtool (Debian's prometheus, unpacked) on the metrics, the alert rules and the dashboard.
check-metrics: all $(B)/witness $(B)/san/vipd
	@tools/setup run
	@tools/unpack prometheus
	@tests/monitoring $(B)/others/usr/bin/promtool
	@tests/integration/run metrics_and_page_over_http history_tells_why_it_moved

# The status page in Chromium: what it shows, and that it asks nobody else; pictures in build/page.
check-page: all $(B)/witness
	@tools/setup run page
	@tests/integration/check_page.py

# Those that keepalived loads, and few machines have.
KEEPALIVED_LIBRARIES = libnl-3-200 libnl-genl-3-200 libnftnl11 libsnmp40 libpci3 libwrap0 libsensors5

# The turns of the loop with 100, 1,000 and 10,000 VIPs (or VIPS) in whatever happens to them all.
bench-scale:
	@tools/setup build run
	@$(MAKE) --no-print-directory all $(B)/witness
	@timeout 300 tools/unpack keepalived $(KEEPALIVED_LIBRARIES) || true
	@tools/figures $@ tests/integration/bench_scale.py $(VIPS)

# What 1, 100 and 1,000 VIPs on three hosts cost etcd in an hour.
bench-etcd:
	@tools/setup build run
	@$(MAKE) --no-print-directory all $(B)/witness
	@tools/figures $@ tests/integration/bench_etcd.py

demo:
	@tools/setup build run
	@$(MAKE) --no-print-directory all $(B)/witness
	@KEEP=$(KEEP) tools/demo; $(give_back)

# The core that ships, in simulated clusters: RUNS seeds from SEED on, HOURS simulated hours each.
sim: $(B)/vipd-sim
	@$< --replay tests/sim/seeds.txt --quick
	@$< --runs $(or $(RUNS),1000) --seed $(or $(SEED),1) --hours $(or $(HOURS),0.25)

$(B)/vipd-sim: private LIBS :=
$(B)/vipd-sim: private LDFLAGS += $(LDHARDEN)
$(B)/vipd-sim: $(patsubst %.cpp,$(B)/obj/%.o,$(wildcard tests/sim/*.cpp src/core/*.cpp)); $(link)
$(B)/obj/tests/sim/main.o: private CPPFLAGS += -DVIPD_COMMIT='"$(COMMIT)"'
$(B)/obj/tests/sim/main.o: $(B)/commit
COMMIT = $(shell git describe --always --dirty 2>/dev/null)
# Written only when it is another one.
$(B)/commit: FORCE
	@mkdir -p $(B) && { echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@; }
FORCE:

# Whether the core does the same as at the commit BASE, to the byte, in the stories of 400 seeds.
same-stories: $(B)/vipd-sim
	@tests/sim/same $(or $(BASE),HEAD)

# Rewrites what follows in tests/scenarios/*.txt from what the core does now, for review.
scenarios: $(B)/san/tests/unit/test_scenarios
	@VIPD_REWRITE=1 $<

# The protocol in Promela at a small bound; and both with one rule of it switched off at a time.
model mutants:
	@tools/setup build run
	@$(MAKE) --no-print-directory $(B)/vipd-sim
	@tests/run $@

# Every parser of foreign bytes under libFuzzer, one after the other, each for FUZZ_SECONDS.
fuzz:
	@tools/setup build fuzz
	@$(MAKE) --no-print-directory $(FUZZ:%=$(B)/fuzz/%)
	@tests/fuzz/run $(or $(FUZZ_SECONDS),60)

lint:
	@tools/setup build lint
	@$(MAKE) --no-print-directory -k lint-files tidy
	@tests/structure
lint-files:
	@tools/lint

format:
	clang-format -i $(shell find src include tests -name '*.[ch]pp')

tidy:
	@tools/tidy $(CPPFLAGS) $(STRICT)

# The budget (tools/static/budget) is enforced; `make compare` measures keepalived and vip-manager, too.
size compare: all $(B)/witness $(B)/san/vipd
	@$(MAKE) --no-print-directory static
	@$(MAKE) --no-print-directory static TLS=none
	@tools/setup run
	@tools/figures $@ tools/size $(if $(filter size,$@),CHECK,COMPARE); $(give_back)

# ---- install -----------------------------------------------------------------------------------

install: all
	install -D $(STRIP) -m 755 $(B)/vipd $(DESTDIR)$(PREFIX)/sbin/vipd
	install -d $(DESTDIR)$(PREFIX)/bin
	ln -sfn ../sbin/vipd $(DESTDIR)$(PREFIX)/bin/vipctl
	for page in contrib/man/*.[58]; do \
	  install -D -m 644 -t $(DESTDIR)$(MANDIR)/man$${page##*.} $$page || exit 1; done
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/vipd contrib/vipd.conf
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/share/vipd contrib/keepalived2vipd \
	  contrib/init/respawned
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/share/vipd/cloud contrib/cloud/hcloud
	for name in vipd vipctl; do \
	  install -D -m 644 contrib/completion/$$name.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$name && \
	  install -D -m 644 -t $(DESTDIR)$(ZSHDIR) contrib/completion/_$$name && \
	  install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d \
	    contrib/completion/$$name.fish || exit 1; done

clean:
	rm -rf $(B)

-include $(shell find $(B)/obj $(B)/san $(B)/fuzz $(STATIC) $(SWAPPED) -name '*.d' 2>/dev/null)
