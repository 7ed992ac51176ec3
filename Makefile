# Every target is a thin call of a script in toolchain/; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help install toolchain up down test check soak lint docs preview clean clean-cache
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/habla

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## .venv with the pinned packages and the habla command; needs no root
	@toolchain/install

toolchain: install ## .toolchain/: the Pulumi CLI and its plugins; the library of the lab's page; minutes, once
	@.venv/bin/python -m toolchain.setup

up: toolchain ## the lab's hosts and the fleet on them, of stacks/Pulumi.lab.yaml; needs root
	@toolchain/up

preview: toolchain ## what `make up` would change
	@.toolchain/bin/pulumi stack select lab 2>/dev/null || .toolchain/bin/pulumi stack init lab
	@.toolchain/bin/pulumi preview -s lab --diff

down: toolchain ## everything that `make up` made, removed again
	@toolchain/down

test: toolchain ## lint, types, all tests, the lab's included; needs root (make test ARGS="-m 'not lab'" does not)
	@toolchain/check $(ARGS)

soak: toolchain ## 10,000 mutated stacks, of which `make test` tries 200; every order of two Jabber starts; the fleet on each Debian; needs root
	@HABLA_MUTATIONS=10000 .venv/bin/python -m pytest -q -n 2 tests/property/test_mutated_stacks.py
	@HABLA_SOAK=1 .venv/bin/python -m pytest -q tests/lab/test_fleet_jabber_cluster.py
	@for release in bookworm trixie; do \
		echo "habla: the tests of the fleet on $$release"; \
		HABLA_LAB_RELEASE=$$release toolchain/check -q -n 2 --dist loadfile --no-loadscope-reorder \
			tests/lab/test_fleet*.py tests/lab/test_haproxy*.py || exit; \
	done

check: lint ## lint, types, unit, golden and property tests without the slow ones; no root, no hosts
	@.venv/bin/python -m pytest -q -n 2 --dist loadfile -m "not slow" tests/unit tests/golden tests/property

lint: install ## ruff and mypy
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

docs: install ## the documentation as a site, with search: build/site
	@toolchain/docs

clean: ## remove .venv, .toolchain and what tools left; not a lab (make down), not the cache
	@rm -rf .venv .toolchain .mypy_cache .ruff_cache .pytest_cache .hypothesis build habla.egg-info out
	@find . -name __pycache__ -type d -not -path './.lab/*' -prune -exec rm -rf {} +

clean-cache: ## remove the cache directory: the built CLI, the base image and packages of labs
	@if pgrep -f 'habla[.]lab supervise' >/dev/null; then \
		echo "habla: a running lab uses $(CACHE); end it first: make down" >&2; exit 1; fi
	@rm -rf "$(CACHE)"
