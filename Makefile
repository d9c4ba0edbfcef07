# The front door. `make demo` and `make test` install what they need (Debian's packages), build, and run.
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)
# Files of end-to-end tests at a time: each may start servers of its own, and mostly waits.
E2E_JOBS ?= 4
CLOUD_JOBS ?= 3
# Debian's interpreter: the packages that scripts/install_packages.sh installs are for this one.
PYTHON ?= /usr/bin/python3

# Clones of the project share what ccache keeps.
export CCACHE_BASEDIR ?= $(CURDIR)
export CCACHE_NOHASHDIR ?= 1

.PHONY: all build demo demo-s3 test unit-test tsan-test e2e-test cloud-test cloud check bench bench-transfer bench-checkpoints bench-policies bench-cloud bench-spotty bench-batch simulate-faults bench-simulate install uninstall format tidy clean packages help

all: build

help:
	@echo 'make            build build/release/bin/buoy and buoy-agent'
	@echo 'make demo       a real training job loses its machine four times and finishes bit for bit as if it had not'
	@echo 'make demo-s3    the same, with its checkpoints in a real S3 server on this machine'
	@echo 'make test       everything that CI runs: checks, unit tests with sanitizers, end-to-end tests'
	@echo 'make cloud-test a stand-in for AWS on this machine, and Buoy on it; make cloud: a shell in it'
	@echo 'make bench      measure; figures are kept in docs/benchmarks.md'
	@echo 'make bench-transfer   S3: buoy, other clients and the floor, in one run'
	@echo 'make bench-checkpoints   what a save to S3 costs, and takes from training'
	@echo 'make bench-policies   what spot policies cost over the optimum, on recorded markets (TRACES=DIRECTORY)'
	@echo 'make bench-cloud    on the stand-in for AWS: a replacement after a notice, 5,000 machines to watch'
	@echo 'make bench-batch    the door of AWS Batch: submits, 10,000 jobs of nothing, a million jobs in the store'
	@echo 'make bench-spotty   what the commands of a spotty.yaml cost on this machine'
	@echo 'make simulate-faults  run the engine through random faults in virtual time (FAULTS="--seeds N --seconds N")'
	@echo 'make bench-simulate   how fast that is: 10,000 machines, 30 days, 100,000 jobs'
	@echo 'make install    PREFIX=/usr/local'
	@echo 'make format     clang-format; make tidy: clang-tidy; make clean'

packages:
	@scripts/install_packages.sh build

build: packages
	@mkdir -p build
	@cmake --preset release >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS)

demo: build
	@scripts/install_packages.sh demo
	@$(PYTHON) scripts/demo.py

demo-s3: build
	@scripts/install_packages.sh demo s3
	@$(PYTHON) scripts/demo.py --s3

test: build
	@scripts/install_packages.sh test demo s3 cloud
	@$(MAKE) --no-print-directory check unit-test tsan-test e2e-test
	@$(MAKE) --no-print-directory cloud-test CLOUD='-m "not long"'
	@echo 'make test: everything passed'

check:
	@$(PYTHON) scripts/check_includes.py
	@scripts/check_format.sh

unit-test:
	@cmake --preset dev >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	@cmake --build --preset dev -j $(JOBS)
	@ctest --preset dev -j $(JOBS)

# ThreadSanitizer for the modules that have threads.
tsan-test:
	@cmake --preset tsan >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	@cmake --build --preset tsan -j $(JOBS) --target net_test aws_test s3_test transfer_test store_test control_test agent_test cloud_test
	@ctest --preset tsan -j $(JOBS) -R '^(net|aws|s3|transfer|store|control|agent|cloud)$$'

e2e-test: build
	@$(PYTHON) -m pytest -q -n $(E2E_JOBS) --dist loadfile tests/e2e

# AWS on this machine (tests/cloud/README.md), several of it at a time, each in a network of its own: what must come from
# elsewhere is fetched before.
cloud-test: build
	@scripts/install_packages.sh cloud demo
	@scripts/python_tool.sh moto >/dev/null
	@scripts/metadata_mock.sh >/dev/null 2>&1 || true
	@$(PYTHON) -m pytest -q -n $(CLOUD_JOBS) --dist loadfile tests/cloud $(CLOUD)

cloud: build
	@scripts/install_packages.sh cloud
	@PATH="$(CURDIR)/build/release/bin:$$PATH" PYTHONPATH=tests $(PYTHON) -m cloud

bench: build
	@scripts/install_packages.sh bench demo
	@$(PYTHON) bench/run.py

# Side by side with other S3 clients and with bare ones, against a real server and a null server. BENCH='--quick', '--only up'.
bench-transfer: build
	@scripts/install_packages.sh s3 bench
	@$(PYTHON) bench/transfer/run.py $(BENCH)

bench-checkpoints: build
	@scripts/install_packages.sh s3 bench
	@$(PYTHON) bench/transfer/checkpoints.py $(BENCH)

# On the recorded markets of TRACES, where there are any; on generated ones otherwise. Takes minutes.
TRACES ?= ../shared/traces
bench-policies: build
	@build/release/bin/policies $(filter-out %/pinned.json,$(wildcard $(TRACES)/*.json))

# On the stand-in for AWS, as root. BENCH='recovery', 'throttle' or 'reconcile'.
bench-cloud: build
	@scripts/install_packages.sh cloud
	@$(PYTHON) bench/cloud.py $(BENCH)

# The last takes minutes.
bench-batch: build
	@$(PYTHON) bench/batch_submit.py
	@$(PYTHON) bench/batch_drain.py
	@$(PYTHON) bench/batch_drain.py --array
	@$(PYTHON) bench/batch_million.py

bench-spotty: build
	@scripts/install_packages.sh test
	@$(PYTHON) bench/spotty.py

# Engine events in virtual time: `--trace SEED` shows one run.
simulate-faults: build
	@build/release/bin/simulate_faults $(FAULTS)

# The world does not fit into the caches: with large pages at least its addresses do.
bench-simulate: build
	@GLIBC_TUNABLES=glibc.malloc.hugetlb=1 build/release/bin/simulate_scale

install: build
	install -D -m 755 build/release/bin/buoy $(DESTDIR)$(PREFIX)/bin/buoy
	install -D -m 755 build/release/bin/buoy-agent $(DESTDIR)$(PREFIX)/bin/buoy-agent
	ln -sf buoy $(DESTDIR)$(PREFIX)/bin/spotty
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	build/release/bin/buoy completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/buoy
	build/release/bin/buoy completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_buoy
	build/release/bin/buoy completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/buoy.fish
	$(DESTDIR)$(PREFIX)/bin/spotty completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/spotty
	$(DESTDIR)$(PREFIX)/bin/spotty completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_spotty
	$(DESTDIR)$(PREFIX)/bin/spotty completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/spotty.fish

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/buoy $(DESTDIR)$(PREFIX)/bin/buoy-agent $(DESTDIR)$(PREFIX)/bin/spotty \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/buoy $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_buoy \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/buoy.fish \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/spotty $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_spotty \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/spotty.fish

format:
	git ls-files '*.cc' '*.h' | xargs clang-format-14 -i

tidy:
	@scripts/install_packages.sh test
	@cmake --preset tidy >/dev/null
	@cmake --build --preset tidy -j $(JOBS)

clean:
	rm -rf build
