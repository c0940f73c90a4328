# driftd: `make demo` shows it, `make test` proves it. Both install what they need.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench gpu-check screenshot

SHELL := /bin/bash
ARGS ?=
export ORT_DYLIB_PATH ?= $(CURDIR)/.deps/onnxruntime/libonnxruntime.so
export ORT_DISABLE_TELEMETRY := 1

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Install everything that demo and test need
	@scripts/setup.sh system onnxruntime dashboard kafka postgres chromium

demo: ## Traffic, a drift, an alert, a retraining request, the dashboard (ARGS=--once ends by itself)
	@scripts/setup.sh system onnxruntime dashboard
	@echo "building driftd (the first time takes a while)"
	@cargo build --release --locked
	@target/release/driftd demo $(ARGS)

test: ## All tests, with a real Kafka, Postgres and browser
	@scripts/setup.sh system onnxruntime dashboard kafka postgres chromium
	@scripts/with-services.sh --kafka --postgres -- cargo test --locked $(ARGS)

lint: ## Format, clippy, documentation
	@cargo fmt --check
	@cargo clippy --locked --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet

bench: ## Ratios to a bare Kafka consumer and a bare ONNX Runtime loop
	@scripts/setup.sh system onnxruntime dashboard kafka
	@cargo build --release --locked --example bench
	@scripts/with-services.sh --kafka -- target/release/examples/bench $(ARGS)

gpu-check: ## On a machine with an NVIDIA GPU: CUDA against CPU; needs no network (docs/gpu.md)
	@[ -x target/release/driftd ] || cargo build --release --locked
	@target/release/driftd gpu-check $(ARGS)

screenshot: ## The dashboard's picture in the README, from a running demo
	@scripts/setup.sh system onnxruntime dashboard chromium
	@scripts/screenshot.sh
