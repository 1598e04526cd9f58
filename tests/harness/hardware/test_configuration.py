import dataclasses
import json

import pytest

from harness.hardware.configuration import configuration
from hw.config import PRESETS
from sw.errors import DnaError

NANO = dataclasses.asdict(PRESETS["nano"])


def written(path, parameters):
    path.write_text(json.dumps(parameters))
    return str(path)


def test_a_preset_and_the_same_machine_from_a_file(tmp_path):
    mine = written(tmp_path / "mine.json", {**NANO, "name": "mine"})
    assert configuration("nano") is PRESETS["nano"]
    assert configuration(mine) == dataclasses.replace(PRESETS["nano"], name="mine")


def test_what_a_file_leaves_out_has_its_default(tmp_path):
    left_out = {key: value for key, value in NANO.items() if key != "burst_words"}
    assert configuration(written(tmp_path / "mine.json", left_out)) == PRESETS["nano"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"burst_word": 8}, "no parameter 'burst_word'"),
        ({"lanes": 3}, "lanes must be a power of two, not 3"),
        ({"lanes": "4"}, "lanes"),
    ],
)
def test_a_file_that_makes_no_machine(tmp_path, change, said):
    mine = written(tmp_path / "mine.json", {**NANO, **change})
    with pytest.raises(DnaError, match="is no configuration") as error:
        configuration(mine)
    assert mine in str(error.value) and said in str(error.value)


def test_a_misspelt_parameter_is_named_though_another_is_then_missing(tmp_path):
    mine = {"lane" if key == "lanes" else key: value for key, value in NANO.items()}
    with pytest.raises(DnaError, match="no parameter 'lane'; did you mean 'lanes'"):
        configuration(written(tmp_path / "mine.json", mine))


def test_neither_preset_nor_file():
    with pytest.raises(DnaError, match="no configuration 'nono'; choose one of nano, ulx3s, micro"):
        configuration("nono")
