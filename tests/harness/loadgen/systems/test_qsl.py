import numpy as np

from harness.loadgen.systems.qsl import SampleLibrary


def test_sample_library_loads_and_unloads(tmp_path):
    read = []

    def load(path):
        read.append(path)
        return np.full((2, 2, 3), int(path.name), np.int8)

    library = SampleLibrary([tmp_path / str(number) for number in range(5)], load, cpus=2)
    assert library.samples == {}
    library.load([4, 1])
    assert sorted(library.samples) == [1, 4]
    assert library.samples[4][0, 0, 0] == 4
    assert library.loaded == 2
    library.unload([4])
    assert sorted(library.samples) == [1]
    library.stop()
    library.load([0, 2])
    assert len(read) == 2
