# Every target sets up what it needs: system packages (through apt-get when it may), then .venv.
# `make help` lists the targets.

VENV     := .venv
BIN      := $(VENV)/bin
BUILD    := build
PYTHON   ?= python3
# All extras of pyproject.toml but tensorflow (2 GB), memory (`make litedram` brings it) and energy. EXTRAS without quantize needs no PyTorch.
EXTRAS   := quantize,loadgen,bench,cluster,timing,board,dev
# Command and the Debian package that brings it.
PROGRAMS := g++:g++ iverilog:iverilog npm:npm chromium-headless-shell:chromium-headless-shell
JOBS     ?= 2
comma    := ,

.PHONY: help setup demo test test-newest fuzz cycles area board imports mutations damage arm energy litedram timing imagenet coco check bench network constraints clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## system packages and the virtual environment (3 minutes when new)

# Whoever names a Python gets it: an environment of another one is made anew.
version_of = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifeq ($(origin PYTHON),command line)
ifneq ($(call version_of,$(PYTHON)),$(call version_of,$(BIN)/python))
.PHONY: $(VENV)/.installed
endif
endif

$(VENV)/.installed: pyproject.toml constraints.txt scripts/system-packages scripts/environment
	@scripts/system-packages $(PROGRAMS)
	scripts/environment $(PYTHON) $(VENV) '$(EXTRAS)' constraints.txt
	@touch $@

demo: setup ## fetch, quantize, verify on RTL, LoadGen in both scenarios, top-5 names (15 minutes)
	scripts/demo $(BIN) $(BUILD)/demo

test: setup ## the whole test suite (under 15 minutes on 2 cores)
	$(BIN)/pytest -n $(JOBS) --dist loadgroup

test-newest: ## the same on the newest Python of this computer, without PyTorch, in build/newest
	@mkdir -p $(BUILD)
	@python=$$(scripts/newest-python) && version=$$("$$python" -V) && echo "$$version: $$python" && \
	  $(MAKE) --no-print-directory setup PYTHON="$$python" VENV=$(BUILD)/newest EXTRAS=$(subst quantize$(comma),,$(EXTRAS)) && \
	  $(BUILD)/newest/bin/pytest -n $(JOBS) --dist loadgroup --without quantize

N    ?= 2000
SEED ?= 0
fuzz: setup ## N random cases (2000) of a SEED (0) on compiled RTL against the reference (6 minutes, 20 when new)
	@mkdir -p $(BUILD)
	$(BIN)/python -m tests.sweeps.kept
	$(BIN)/python -m tests.sweeps.fuzz --cases $(N) --seed $(SEED) --json $(BUILD)/fuzz.json

cycles: setup ## 500 random cases of a SEED (0): cycle model against RTL, every counter (8 minutes, 20 when new)
	@mkdir -p $(BUILD)
	$(BIN)/python -m tests.sweeps.cycles_sweep --cases 500 --seed $(SEED) --json $(BUILD)/cycles.json

area: setup ## ask Yosys anew what small machines take of an FPGA, and fit the area model (20 minutes)
	$(BIN)/python -m tests.sweeps.area

imports: setup ## 300 random TFLite models against LiteRT, 50 of them on RTL (5 minutes)
	@mkdir -p $(BUILD)
	$(BIN)/python -m tests.sweeps.import_sweep --models 300 --rtl 50 --seed $(SEED)

mutations: setup ## every field of the ONNX and TFLite operators set to other values (6 minutes)
	$(BIN)/python -m tests.sweeps.onnx_mutation_sweep
	$(BIN)/python -m tests.sweeps.tflite_mutation_sweep

damage: setup ## 10000 damaged artifacts of a SEED (0): refused, or all engines agree (1 minute)
	$(BIN)/python -m tests.sweeps.damage --cases 10000 --seed $(SEED)

board: setup ## the machine as a SoC on a ULX3S: the bitstream, then networks on the simulated board (15 minutes)
	$(BIN)/dna soc --board ulx3s --config ulx3s -o $(BUILD)/ulx3s
	$(BIN)/python -m tests.sweeps.board $(BUILD)/ulx3s --resnet50 32

energy: ## energy and area of memories by CACTI, in an environment of its own (Python 3.12 or later; 5 minutes)
	@scripts/system-packages g++:g++
	@mkdir -p $(BUILD)
	scripts/cacti $(BUILD)/energy

litedram: setup ## nano and micro behind LiteDRAM as RTL, beside the cycle model with our model of it (20 minutes)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[memory]'
	$(BIN)/python -m tests.sweeps.litedram
	$(BIN)/python -m tests.sweeps.litedram --config micro --cases 94,394

arm: setup ## the kernels for Arm under emulation (1 minute; 350 MB of Debian's packages)
	@scripts/system-packages aarch64-linux-gnu-g++:g++-aarch64-linux-gnu qemu-aarch64:qemu-user
	$(BIN)/python -m pytest -q tests/sim/functional/test_emulated.py

timing: setup ## levels, standard cells (osu018) and ECP5 of nano, every block and the machine (20 minutes)
	@scripts/system-packages sta:opensta /usr/share/qflow/tech/osu018/osu018_stdcells.lib:qflow-tech-osu018
	$(BIN)/python -m tests.sweeps.timing

check: setup ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

imagenet: setup ## an accuracy run of 50,000 photographs, made of the fetched ones (15 minutes)
	$(BIN)/dna fetch
	test -d $(BUILD)/resnet50 || $(BIN)/dna quantize -o $(BUILD)/resnet50
	test -f $(BUILD)/imagenet/val_map.txt || \
	  { rm -rf $(BUILD)/imagenet && $(BIN)/python -m tests.support.stand_in $(BUILD)/imagenet; }
	$(BIN)/dna loadgen $(BUILD)/resnet50 --scenario Offline --accuracy --data-dir $(BUILD)/imagenet \
	  --json $(BUILD)/imagenet.json

coco: setup ## an accuracy run of a YOLO11n-shaped detector, random weights, on 1,525 made photographs (10 minutes)
	$(BIN)/dna fetch
	test -d $(BUILD)/coco/annotations || \
	  { rm -rf $(BUILD)/coco && $(BIN)/python -m tests.support.coco_stand_in $(BUILD)/coco; }
	test -d $(BUILD)/detector || $(BIN)/dna quantize --model tests.support.torch_papers:detector \
	  --preprocessing yolo --input-size 320 -o $(BUILD)/detector
	$(BIN)/dna loadgen $(BUILD)/detector --benchmark yolo --scenario Offline --accuracy \
	  --data-dir $(BUILD)/coco --json $(BUILD)/coco.json

ISA  ?=
bench: setup ## images/s of the functional model beside its peers, of an ISA such as avx2 (10 minutes)
	@mkdir -p $(BUILD)
	$(BIN)/dna fetch
	test -d $(BUILD)/resnet50 || $(BIN)/dna quantize -o $(BUILD)/resnet50
	$(BIN)/dna bench $(BUILD)/resnet50 $(if $(ISA),--isa $(ISA)) --json $(BUILD)/bench.json

network: setup ## whole ResNet50 on the RTL of micro, small and (64 x 64) nano; other memories (40 minutes when new)
	scripts/network $(BIN) $(BUILD)/network micro small

constraints: ## constraints.txt anew: the newest versions that pyproject.toml allows, on the oldest Python
	@scripts/system-packages $(PROGRAMS)
	rm -rf $(BUILD)/renewed
	@mkdir -p $(BUILD)
	scripts/environment $(PYTHON) $(BUILD)/renewed '$(EXTRAS)'
	$(BUILD)/renewed/bin/python -m tests.support.constraints

clean: ## remove what was built; the environment and the user's cache stay
	rm -rf $(BUILD)
