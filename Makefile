# The verbs of heapsee. Each works from a fresh clone and sets up what it needs in build/ and target/.
PYTHON ?= python3
VERBS = setup build test house demo demo-agent bench bench-analyzer fuzz soak churn memcheck cgroup2 wheels lock lint fmt clean

.PHONY: help $(VERBS)

help:
	@echo "make setup   everything the other verbs need: virtual environments, extension, binaries"
	@echo "make build   the two binaries: target/release/heapsee and target/release/heapsee-agent"
	@echo "make test    all tests, on every CPython 3.9-3.15  (PYTHONS='3.11 3.13' for some, HEAPSEE_WHOLE=1)"
	@echo "make house   import circles, long functions and files, missing docs, crates in two versions"
	@echo "make demo    a live server, a dump, and the investigation  (OBJECTS=4000000 for the size of the story)"
	@echo "make demo-agent  a server that leaks, a rule that fires, a dump that is in the bucket"
	@echo "make bench   pause, walk and read against what they compete with  (OBJECTS=4000000 BYTES=3000000000 INTAKE=5000000000)"
	@echo "make bench-analyzer  the reader alone, at several sizes, with and without its index  (OBJECTS='400000 4000000')"
	@echo "make fuzz    files that are nearly dumps, tens of thousands; libFuzzer on lines  (HEAPSEE_FUZZ_ROUNDS=20000 HEAPSEE_FUZZ_SECONDS=120)"
	@echo "make soak    one worker, dumped thousands of times: does anything grow?  (HEAPSEE_SOAK=5000)"
	@echo "make churn   the agent's daemon through thousands of workers' lives: is a trigger missed, does anything grow?  (HEAPSEE_LIVES=5000)"
	@echo "make memcheck  the extension under valgrind, with each CPython"
	@echo "make cgroup2  the agent's rules on a machine with control groups of version 2, in software"
	@echo "make wheels  wheels of the extension for each CPython, for any Linux with glibc 2.17 or later"
	@echo "make lock    newer packages for the environments: as new as tests/requirements allows, written down there"
	@echo "make lint    formatting, clippy, ruff, mypy"
	@echo "make fmt     formats Rust and Python"
	@echo "make clean   removes build/ and target/"

$(VERBS):
	@$(PYTHON) tests/driver $@
