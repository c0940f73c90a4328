# driftd: `make demo` shows it, `make test` proves it. Both install what they need.
.DEFAULT_GOAL := help
.PHONY: help setup demo test soak lint deploy-check bench quality gpu-check screenshot

SHELL := /bin/bash
STEP := @scripts/step.sh
ARGS ?=
export ORT_DYLIB_PATH ?= $(CURDIR)/.deps/onnxruntime/libonnxruntime.so
export ORT_DISABLE_TELEMETRY := 1
# Most tests wait for a service and not for a core.
export RUST_TEST_THREADS ?= 6

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Install everything that demo and test need
	$(STEP) "set-up" scripts/setup.sh

demo: ## Traffic, a drift, an alert, a retraining request, the dashboard (ARGS=--once ends by itself)
	$(STEP) "set-up" scripts/setup.sh system onnxruntime dashboard
	$(STEP) "build (the first time takes a while)" cargo build --release --locked
	@target/release/driftd demo $(ARGS)

test: ## All tests, with a real Kafka, Postgres, Alertmanager and browser
	$(STEP) "set-up" scripts/setup.sh system onnxruntime dashboard kafka postgres alertmanager chromium
	$(STEP) "tests" scripts/with-services.sh --kafka --postgres -- cargo test --locked $(ARGS)

soak: ## Hours of faults and load: MINUTES=30 SEEDS=20 SIMULATIONS=20000
	$(STEP) "set-up" scripts/setup.sh system onnxruntime dashboard kafka postgres
	$(STEP) "build" cargo build --release --locked --bin driftd --example load
	$(STEP) "simulation" env DRIFTD_SIMULATIONS=$(or $(SIMULATIONS),20000) cargo test --locked --test simulation
	$(STEP) "deliveries" env DRIFTD_DELIVERY_SEEDS=1000 cargo test --locked --test delivery seeds
	$(STEP) "faults" env DRIFTD_SEEDS=$(or $(SEEDS),20) scripts/with-services.sh --kafka --postgres -- \
	  cargo test --locked --test faults
	$(STEP) "load" scripts/with-services.sh --kafka --postgres -- target/release/examples/load soak $(or $(MINUTES),30)

lint: ## Format, clippy, documentation, and the scripts where shellcheck is installed
	$(STEP) "format" cargo fmt --check
	@! command -v shellcheck > /dev/null || scripts/step.sh "scripts" shellcheck -x scripts/*.sh tests/services/*.sh .ci/run
	$(STEP) "clippy" cargo clippy --locked --all-targets -- -D warnings
	$(STEP) "docs" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet

deploy-check: ## Image, Kustomize, Helm, Compose, Prometheus rules and Grafana dashboards (x86-64)
	$(STEP) "set-up" scripts/setup.sh system dashboard
	$(STEP) "deployment" scripts/deploy-check.sh $(ARGS)

bench: ## Ratios to a bare Kafka consumer and a bare ONNX Runtime loop
	$(STEP) "set-up" scripts/setup.sh system onnxruntime dashboard kafka
	$(STEP) "build" cargo build --release --locked --bin driftd --example bench
	$(STEP) "bench" scripts/with-services.sh --kafka -- target/release/examples/bench $(ARGS)

quality: ## Simulated months, delays and the cost of a window, as in docs/quality.md
	$(STEP) "set-up" scripts/setup.sh system onnxruntime dashboard
	$(STEP) "build" cargo build --release --locked --example months --example cost
	@target/release/examples/months false-alarms
	@target/release/examples/months delays
	@target/release/examples/cost

gpu-check: ## On a machine with an NVIDIA GPU: CUDA against CPU; needs no network (docs/gpu.md)
	@[ -x target/release/driftd ] || command -v cargo > /dev/null || \
	  { echo "gpu-check: there is neither target/release/driftd nor cargo to build it" >&2; exit 1; }
	@[ -x target/release/driftd ] || scripts/step.sh "build" cargo build --release --locked
	$(STEP) "gpu-check" target/release/driftd gpu-check $(ARGS)

screenshot: ## The dashboard's picture in the README, from a running demo
	$(STEP) "set-up" scripts/setup.sh system onnxruntime dashboard chromium
	@scripts/screenshot.sh
