# Each target first installs what is missing, then does its job. `make` alone lists them.
#
# Everything is built with the release profile: llama.cpp takes minutes to build, once a profile. Always the whole
# workspace, so that it is built with one set of features.

TEST_HOME := $(CURDIR)/target/test-home
UNFORGET  := target/release/unforget

# What an adapter's provenance says that it was trained by; empty outside of a repository.
export UNFORGET_COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)

# Where the tests and benches look for the models.
export UNFORGET_TEST_HOME := $(TEST_HOME)

.PHONY: help demo test clients check lint fmt audit bench fuzz install header build test-models
.PHONY: wheel test-python minimal sizes valgrind semver
.PHONY: test-page page test-peft

help:
	@echo "make demo     build, fetch the default models and show the main job"
	@echo "make test     the whole test suite"
	@echo "make test-page the part of it that drives the server's page in a browser"
	@echo "make test-peft an adapter in Hugging Face's transformers and peft, against ours (5 GB are installed)"
	@echo "make clients  real clients against the server, schemathesis included"
	@echo "make check    the quick part of it: format, clippy and unit tests"
	@echo "make lint     format, clippy, docs, licences, duplicates and sources"
	@echo "make bench    benchmarks, and side by side with others into benches/results"
	@echo "make fuzz     feed the file readers damaged files, FUZZ_SECONDS (60) for each target"
	@echo "make install  the unforget command into cargo's bin folder; with PREFIX=/usr/local the C library too, there"
	@echo "make wheel    the Python package, with the C library inside"
	@echo "make minimal  the C library for apps, small, in target/minimal (builds llama.cpp once more)"
	@echo "make sizes    how large each library is"
	@echo "make valgrind a short C program on the library of make minimal, under valgrind"
	@echo "make semver   what of the Rust interface changed since BASELINE (main)"
	@echo "make fmt      format the source"
	@echo "make page     build the page that the server shows, from page/ into src/serve/page/"
	@echo "make header   write ffi/include/unforget.h anew"
	@echo "make audit    security advisories (needs the network)"

build:
	@scripts/bootstrap build
	cargo build --release --workspace

demo: build
	@scripts/demo

test: build test-models
	@scripts/bootstrap test
	cargo nextest run --release --workspace --no-fail-fast
	cargo test --release --workspace --doc
	@tests/clients/run
	@scripts/python test
	@scripts/page test

# In Chromium, which is installed where it can be.
test-page: build test-models
	@scripts/page test

test-peft: build test-models
	@tests/peft/run

# Also schemathesis, which makes up requests for minutes.
clients: build test-models
	@tests/clients/run --all

wheel: build
	@scripts/bootstrap test
	@scripts/python wheel

test-python: build test-models
	@scripts/bootstrap test
	@scripts/python test

minimal:
	@scripts/bootstrap build
	@scripts/minimal

sizes: build
	@scripts/sizes

valgrind: minimal test-models
	@scripts/bootstrap valgrind
	@scripts/valgrind

BASELINE ?= main
semver:
	@scripts/bootstrap semver
	@scripts/semver $(BASELINE)

# Fetched once into a data folder of the tests' own; a second run finds them there.
test-models: build
	@UNFORGET_HOME=$(TEST_HOME) $(UNFORGET) pull smollm2
	@UNFORGET_HOME=$(TEST_HOME) $(UNFORGET) pull minilm

check:
	@scripts/bootstrap test
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo nextest run --release --workspace --lib --bins

lint:
	@scripts/bootstrap lint
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --quiet
	cargo deny check --hide-inclusion-graph licenses bans sources
	@scripts/page check

fmt:
	cargo fmt --all

audit:
	@scripts/bootstrap lint
	cargo deny check advisories

bench: build test-models
	cargo bench
	@benches/peers/run

# In a workspace of its own, built by the nightly compiler: llama.cpp is built once more for it.
FUZZ_SECONDS ?= 60
fuzz:
	@scripts/bootstrap fuzz
	UNFORGET_FUZZ_CORPUS=$(CURDIR)/quant/fuzz/corpus cargo test --release --workspace --test fuzz_seeds
	@set -e; cd quant; for target in gguf safetensors convert adapter; do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -print_final_stats=1; \
	done

# Without PREFIX as cargo does; with it the C library, for pkg-config and CMake to find, and the command beside it.
ifdef PREFIX
install: build
	@scripts/install $(PREFIX)
else
install:
	@scripts/bootstrap build
	cargo install --locked --path .
endif

page:
	@scripts/page build

header:
	@scripts/bootstrap build
	UNFORGET_WRITE_HEADER=1 cargo test --release --workspace --test header
