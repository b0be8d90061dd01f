# Each line calls cargo or one script. Everything is built with `--workspace` and one profile: cargo unites the features of
# what it builds, so that one selection everywhere means that the dependencies compile once.

.DEFAULT_GOAL := help
.PHONY: help up fetch tools build demo test faults fuzz bench evaluate lint schema doc audit sbom reproducible fmt notebooks

CARGO ?= cargo
MONETA := $(or $(CARGO_TARGET_DIR),target)/debug/moneta
# More for the command: make demo ARGS='--speed 0 --until 2020-06-30'
ARGS ?=

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

up: fetch build ## Set up and run: fetch, build, and show the demo
	$(MONETA) demo $(ARGS)

fetch: tools ## Fetch ONNX Runtime, the MiniLM encoder and market history into .moneta/, by pinned hash
	python3 scripts/fetch.py

tools:
	@scripts/check_tools.sh build

build: tools ## Build everything
	$(CARGO) build --workspace --locked

demo: build ## Run the demo on what is there; ARGS='--speed 0 --listen 127.0.0.1:9000'
	$(MONETA) demo $(ARGS)

# The training tests multiply small matrices; one thread is much faster than many that wait for one another.
test: export RAYON_NUM_THREADS = 1
test: ## Run every test; TESTS='part_of_a_name' narrows it
	@scripts/check_tools.sh test
	@$(MAKE) --no-print-directory fetch build
	$(CARGO) test --workspace --locked --no-fail-fast $(TESTS)

faults: fetch build ## Fifty rounds of a disk that fails at random (EIO, no space, no permission) under load; ROUNDS=500 for more
	MONETA_FAULT_ROUNDS=$(or $(ROUNDS),50) $(CARGO) test --workspace --locked --test storage_faults --test faults -- --nocapture

fuzz: fetch build ## Ten minutes of made-up input at every edge, and of one hostile client against everybody else's days; SECONDS=60 for less
	MONETA_FUZZ_SECONDS=$(or $(SECONDS),600) $(CARGO) test --workspace --locked --test edges --test suite --test isolation fuzz

bench: fetch ## Measure start, memory, chat, advice, replay and serving; ARGS='chat advice' narrows it
	$(CARGO) bench --profile dev --workspace --locked --bench platform $(if $(ARGS),-- $(ARGS))

evaluate: fetch build ## Replay the golden cases of every model and check its promotion gates
	scripts/evaluate.sh $(MONETA)

lint: ## Formatting, clippy (warnings denied), dependencies' licences, sources and advisories, spelling, page, contracts
	@scripts/check_tools.sh lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) deny --locked --log-level error check licenses bans sources
	CARGO="$(CARGO)" scripts/advisories.sh
	scripts/tools.sh typos
	scripts/tools.sh oxlint -D correctness -D suspicious -A unicorn/no-array-sort -A unicorn/no-invalid-fetch-options services/gateway/web
	scripts/schema.sh check

schema: ## Agree upon changed contracts: writes services/contracts/schema.binpb, and refuses what breaks an older peer
	scripts/schema.sh write

doc: ## The documentation of every crate, warnings denied; into target/doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

audit: ## Dependencies against the whole live advisory database, and withdrawn versions refused; needs network
	@scripts/check_tools.sh lint
	$(CARGO) deny --locked check --deny yanked advisories

sbom: tools ## Write the bill of materials (CycloneDX) to target/moneta.cdx.json
	CARGO="$(CARGO)" python3 scripts/sbom.py --output $(or $(CARGO_TARGET_DIR),target)/moneta.cdx.json $(ARGS)

reproducible: build ## Build our code twice in two folders and compare the bytes; long: ARGS=--all compiles everything twice
	CARGO="$(CARGO)" scripts/reproducible.sh $(ARGS)

fmt: ## Format the code
	$(CARGO) fmt --all

notebooks: fetch ## Execute the notebooks from the first cell to the last
	scripts/notebooks.sh
