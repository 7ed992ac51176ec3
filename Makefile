# Every target is a thin call of a script; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help install

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## .venv with the pinned packages and the habla command; needs no root
	@toolchain/install
