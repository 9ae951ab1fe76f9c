# The one door: people and CI call the same targets.
#
#   make demo    a real Pravega stream changes its segments, a real Flink job follows it
#   make test    all tests, with the real Pravega and Flink of the lab
#   make test-kubernetes     the agent in the JobManager's pod on a real Kubernetes, and all that can go wrong there,
#                            part of `make test` where the machine can (root, cgroups)
#   make test-kubernetes-matrix   the same on Kubernetes 1.33, and with KEDA
#   make test-flink-matrix   changes of width on every version of Flink from 1.17 on
#   make test-auto-scale     a stream that Pravega splits and merges by itself, in its own time
#   make test-observability  metrics, rules and dashboards with the real Prometheus, part of `make test`
#   make test-docs           the commands of the docs, part of `make test`
#   make lab-up  a real Kubernetes of one node on this machine, in namespaces of its own (root); lab-down ends it
#   make images  the images of agent, generator and Flink job, from their Dockerfiles, with their sizes
#   make test-page           the agent's page in a headless Chromium, through a run of the agent
#   make check   formatting, lints, purity of the core, generated docs
#   make bench   the figures of README.md, measured again
#   make bench-rescale       the tables of docs/rescaling.md, measured again (hours; goes on where it stopped)
#   make bench-kubernetes    Sluice against the HPA fed by Prometheus, on the lab's Kubernetes
#   make bench-clients       the generator's writer and reader against the Java client
#   make bench-endpoints     how fast the agent answers with 64 streams and a full history, and what it weighs
#   make docs    regenerate docs/cli.md, docs/metrics.md, docs/reasons.md, docs/api.md, what docs/simulate.md prints, the operator's rules, the pictures of the shapes
#   make dashboards          regenerate deploy/grafana/dashboards from their source
#   make pictures            draw docs/img again from a real run (some ten minutes)
#   make fetch   fill the caches: jars and Flink distributions, from package registries

FLINK        ?= 1.20.5
FLINK_MATRIX ?= 1.17.2 1.20.5 2.3.0
KUBERNETES_MATRIX ?= 1.33.13
CARGO        ?= cargo
MVN          ?= mvn -B -ntp
JOB          := jobmanager/job
JOB_SOURCES  := $(JOB)/pom.xml $(shell find $(JOB)/src -type f 2>/dev/null)
LAB          := target/debug/lab
GRAFANA      := out/grafana-sdk

.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-lab test-observability test-docs test-page test-kubernetes test-kubernetes-matrix lab-images dashboards check-dashboards pictures test-flink-matrix test-auto-scale lab-up lab-down images check bench bench-rescale bench-clients bench-endpoints bench-kubernetes docs shapes fetch bins jobs clean

help:
	@sed -n 's/^#   //p' Makefile

bins:
	$(CARGO) build --workspace --bins

# The job's jar, compiled and unit-tested against one version of Flink.
$(JOB)/target/flink-%/busy-reader.jar: $(JOB_SOURCES)
	@mkdir -p out; echo 'building the job for Flink $* and testing it ...'
	@$(MVN) -f $(JOB) -Dflink.version=$* package >out/job-$*.log 2>&1 || { cat out/job-$*.log; exit 1; }
	@grep 'Tests run:.*[0-9]$$' out/job-$*.log | tail -n 1

jobs: $(FLINK_MATRIX:%=$(JOB)/target/flink-%/busy-reader.jar)

fetch: bins
	$(LAB) fetch --flink $(FLINK)

demo: bins $(JOB)/target/flink-$(FLINK)/busy-reader.jar
	$(LAB) demo --flink $(FLINK) $(DEMO)

test: check test-unit test-lab test-observability test-docs test-page test-kubernetes

test-unit:
	$(CARGO) test --workspace

# The lab tests start real services; one after the other, since they share two cores.
test-lab: bins jobs
	$(LAB) fetch $(FLINK_MATRIX:%=--flink %)
	$(CARGO) test --workspace --test pravega --test flink -- --ignored --test-threads=1
	$(CARGO) test --workspace --test lab --test load --test readers -- --ignored

test-observability: bins $(JOB)/target/flink-$(FLINK)/busy-reader.jar check-dashboards
	$(CARGO) test -p sluice-e2e --test observability -- --ignored

# Blocks of the docs that are marked `sh test` need nothing but the programs.
test-docs: bins
	$(CARGO) test -p sluice-e2e --test docs

# Screenshots are in out/page afterwards.
test-page: bins
	sh tests/e2e/page/install.sh
	$(CARGO) test -p sluice-e2e --test page -- --ignored --nocapture

# One Pravega, one load, one Flink with the agent, in real pods on the lab's Kubernetes: the scenes of
# tests/e2e/tests/kubernetes.rs, some ten minutes, each of which says what it does. Before them the API server
# is asked whether it takes what `sluice inject` makes of each kind of manifest. Where no cluster can be started
# (no root, no cgroups, no Go) the reason is said. A cluster that was not running before is stopped again, unless a
# scene failed. With KEDA=1 the cluster gets KEDA, and three more scenes are played: a ScaledObject, and the overlays
# that Sluice is measured against. The first time KEDA is built from Go modules (ten minutes on two cores).
KUBERNETES_LAB    := lab/kubernetes/lab.sh
test-kubernetes: bins jobs
	@was=$$($(KUBERNETES_LAB) status >/dev/null 2>&1 && echo running); \
	if cluster=$$($(KUBERNETES_LAB) up); then \
	    eval "$$cluster"; \
	    $(MAKE) --no-print-directory lab-images \
	    && $(CARGO) test --workspace --test inject -- --ignored \
	    && { [ -z "$(KEDA)" ] || lab/kubernetes/keda/keda.sh up; } \
	    && $(CARGO) test -p sluice-e2e --test kubernetes -- --ignored --nocapture $(SCENE) \
	    && { [ -n "$$was" ] || $(KUBERNETES_LAB) down; }; \
	elif [ $$? = 69 ]; then echo 'test-kubernetes: skipped, for the reason above'; \
	else exit 1; fi

# The same with KEDA, on another minor version of Kubernetes, the oldest that the lab builds.
test-kubernetes-matrix: bins jobs
	@for version in $(KUBERNETES_MATRIX); do \
	    SLUICE_KUBERNETES=$$version SLUICE_LAB_KUBERNETES=$(CURDIR)/out/kubernetes-$$version \
	        $(MAKE) --no-print-directory test-kubernetes KEDA=1 || exit 1; \
	done

# The images that the scenes run, of the binaries that the other tests run, where these are newer.
lab-images: out/images/sluice.tar out/images/data-generator.tar out/images/flink-busy-reader.tar out/images/sluice-lab-pravega.tar
out/images/sluice.tar: target/debug/sluice sidecar/Dockerfile
out/images/data-generator.tar: target/debug/data-generator data-generator/Dockerfile
out/images/sluice-lab-pravega.tar: target/debug/lab lab/kubernetes/images/pravega/Dockerfile
out/images/flink-busy-reader.tar: $(JOB)/target/flink-$(FLINK)/busy-reader.jar jobmanager/Dockerfile
out/images/%.tar:
	@lab/kubernetes/images/images.sh --debug $(patsubst sluice-lab-%,%,$*)

# The versions are named in the test; those that are not in the cache are fetched. One jar serves all of
# them, `jobs` builds those that would tell if it did not.
test-flink-matrix: bins jobs
	$(CARGO) test -p sluice-e2e --test matrix -- --ignored $(MATRIX)

lab-up:
	@lab/kubernetes/lab.sh up

lab-down:
	@lab/kubernetes/lab.sh down

images: jobs
	@lab/kubernetes/images/images.sh $(IMAGES)

test-auto-scale: bins
	$(CARGO) test -p sluice-e2e --test auto_scale -- --ignored

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@echo 'the core stays pure:'
	@! $(CARGO) tree -p sluice-core -e normal | grep -E ' (tokio|kube|reqwest|hyper|tonic|tracing) ' \
	  || { echo 'sluice-core must not depend on async or I/O crates'; exit 1; }
	@! $(CARGO) tree -p sluice -e normal | grep -E 'pravega-client' \
	  || { echo 'the agent must not depend on pravega-client (docs/adr/0001-own-controller-client.md)'; exit 1; }
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --offline check bans licenses sources; \
	  else echo 'cargo-deny is not installed: deny.toml was not checked (cargo install cargo-deny)'; fi

bench:
	$(CARGO) build --release -p sluice
	$(CARGO) bench -p sluice-e2e --bench follow

# RESCALE='--quick' tries it out; '--help' tells more. The generator is not what is measured.
bench-rescale: bins jobs
	$(CARGO) build --release -p sluice
	$(CARGO) bench -p sluice-e2e --bench rescale -- $(RESCALE)

# The benchmark itself only starts processes; what it measures is built for release.
bench-clients:
	$(CARGO) build --release -p data-generator
	$(CARGO) bench -p sluice-e2e --bench clients --profile dev

# KUBERNETES='--quick' makes fewer changes, KUBERNETES='--keda' all of them with KEDA too. What is measured is
# built for release.
bench-kubernetes: lab-up
	$(CARGO) build --release -p sluice
	$(CARGO) bench -p sluice-e2e --bench kubernetes --profile dev -- $(KUBERNETES)

bench-endpoints:
	$(CARGO) build --release -p sluice
	$(CARGO) bench -p sluice-e2e --bench endpoints --profile dev

docs: shapes
	SLUICE_UPDATE_DOCS=1 $(CARGO) test -p sluice --test docs --test simulate
	SLUICE_UPDATE_DOCS=1 $(CARGO) test -p sluice-e2e --test observability -- --ignored what_is_shipped

# Grafana's own SDK, which knows the schema of a dashboard.
$(GRAFANA)/bin/mypy: deploy/grafana/source/requirements.txt
	python3 -m venv $(GRAFANA)
	$(GRAFANA)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

dashboards: $(GRAFANA)/bin/mypy
	$(GRAFANA)/bin/python -B deploy/grafana/source/dashboards.py deploy/grafana/dashboards

check-dashboards: $(GRAFANA)/bin/mypy
	cd deploy/grafana/source && $(CURDIR)/$< --strict --cache-dir $(CURDIR)/$(GRAFANA)/mypy-cache dashboards.py parts.py
	$(GRAFANA)/bin/python -B deploy/grafana/source/dashboards.py --check deploy/grafana/dashboards

pictures: bins $(JOB)/target/flink-$(FLINK)/busy-reader.jar
	$(CARGO) run -p sluice-e2e --example pictures

# The pictures of data-generator/README.md, drawn by the code that paces the writers.
shapes: bins
	sh data-generator/shapes/draw.sh target/debug/data-generator

clean:
	$(CARGO) clean
	rm -rf $(JOB)/target out
