# What there is to do here. `make` alone lists it.

LISTEN ?= 127.0.0.1:4000
DATA_DIR ?= .burgee
TARGET ?= items
SECONDS ?= 600
CASES ?= tests/conformance
export CASES

# A package outside of the workspace, as its Cargo.toml explains.
BENCHMARKS := --manifest-path crates/evaluator/benchmarks/Cargo.toml --target-dir target
# A workspace of its own: see its README.md.
FUZZ := crates/evaluator/fuzz/Cargo.toml

# The queries are described in .sqlx/, so that no build needs a database.
export SQLX_OFFLINE := true
export PATH := $(CURDIR)/.tools/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help dev test access-matrix setup fmt lint layers bench proto proto-release generate sqlx
.PHONY: conformance corpus vectors load fuzz ci clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: ## Run the server with a Postgres of its own (LISTEN, DATA_DIR)
	@scripts/setup.sh postgres grpcurl
	cargo run --package burgee-server --bin burgee-server -- dev --data-dir $(DATA_DIR) --listen $(LISTEN)

test: ## Build everything and run all tests
	@scripts/setup.sh postgres grpcurl
	cargo build --workspace --bins
	cargo test --workspace

access-matrix: ## Ask every RPC as everybody; closes with `N cells, M wrong`
	@scripts/setup.sh postgres
	cargo build --workspace --bins
	cargo test --package burgee-tests --test access_matrix

setup: ## Install what the machine lacks, into .tools/ or as root with its packages
	@scripts/setup.sh

fmt: ## Format the code
	cargo fmt --all
	cargo fmt --manifest-path $(FUZZ)

lint: layers ## Check format, lints, and who depends on whom
	@scripts/setup.sh components
	cargo fmt --all --check
	cargo fmt --manifest-path $(FUZZ) --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo fmt --manifest-path crates/evaluator/benchmarks/Cargo.toml --check
	cargo check --all-targets $(BENCHMARKS)
	cargo clippy --manifest-path $(FUZZ) --target-dir target --no-default-features -- --deny warnings

# The rules that a graph of the whole workspace cannot show: in it, features are those
# of everybody together.
layers:
	@scripts/layers.sh

proto: ## Lint the contract, and compare it with the one that was released
	@scripts/setup.sh buf
	buf lint
	buf breaking --against proto/released.binpb

proto-release: ## Make today's contract the released one
	@scripts/setup.sh buf
	buf build --exclude-source-info --output proto/released.binpb

generate: ## Generate stubs for Go and TypeScript, in gen/
	@scripts/setup.sh generators
	buf generate

sqlx: ## Describe the server's queries anew, in .sqlx/
	@scripts/setup.sh postgres
	scripts/sqlx.sh write

conformance: ## Evaluate the conformance cases of a folder (CASES=tests/conformance)
	@cargo run --quiet --package burgee-evaluator --example conformance -- "$$CASES"

corpus: ## Write the generated conformance cases anew, in tests/conformance/generated/
	cargo run --quiet --package burgee-evaluator --example corpus -- tests/conformance/generated

vectors: ## Ask the SDKs of LaunchDarkly and Unleash anew, for tests/conformance/vectors/
	@scripts/setup.sh vectors
	NODE_PATH=$(CURDIR)/.tools/vectors/node_modules PYTHONPATH=$(CURDIR)/.tools/vectors/python \
		node tests/vectors/vectors.cjs

bench: ## Measure the evaluator beside the published engines of others
	cargo bench $(BENCHMARKS) -- --quiet

load: ## Measure Burgee on this machine, in a release build (WHAT=delivery, ...)
	@scripts/setup.sh postgres
	cargo build --release --workspace --bins
	target/release/burgee-load $(WHAT)

# RUSTC_BOOTSTRAP: what measures coverage is in the stable compiler, behind flags.
fuzz: ## Look for what breaks the evaluator (TARGET=items, SECONDS=600)
	@scripts/setup.sh cargo-fuzz
	cd crates/evaluator && mkdir -p fuzz/corpus/$(TARGET) && RUSTC_BOOTSTRAP=1 \
		cargo fuzz run --sanitizer none $(TARGET) fuzz/corpus/$(TARGET) fuzz/seeds/$(TARGET) -- \
		-max_total_time=$(SECONDS) -timeout=10 -print_final_stats=1

ci: ## All that CI checks
	bash .ci/run

clean: ## Delete what was built (not the data of make dev)
	cargo clean
	rm -rf .tools
