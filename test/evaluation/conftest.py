"""Makes the stand-in dataset importable, also by the processes that tests start; a dataset on disk, and the command."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pasco_core.cli import main
from pasco_core.data.datasets.semantic_kitti_ids import RAW_OF_CLASS
from pasco_core.data.datasets.voxel_files import write_bits, write_labels

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def run_plan(tmp_path):
    """Runs a plan to its end in a folder and returns its results; no launcher, no report."""
    from pasco_core.evaluation.results import Results
    from pasco_core.evaluation.run import Workforce, begin, evaluate
    from pasco_core.evaluation.summary import summarise

    def run(plan, folder: str = "out", shard=None, jobs: int = 1):
        work = begin(plan, "SemanticKITTI", tmp_path / folder, shard)
        list(evaluate(work, Workforce(jobs)))
        if work.missing():
            return None
        results = Results(summarise([work.out], work.run))
        results.write(work.out)
        return results

    return run


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """Three frames of sequence 08: a road, two cars, a house; the far end unknown."""
    root = tmp_path_factory.mktemp("kitti") / "dataset"
    folder = root / "sequences" / "08"
    for name in ("velodyne", "voxels"):
        (folder / name).mkdir(parents=True)
    identity = "1 0 0 0 0 1 0 0 0 0 1 0\n"
    (folder / "calib.txt").write_text("".join(f"{n}: {identity}" for n in ("P0", "P1", "P2", "P3", "Tr")))
    (folder / "poses.txt").write_text(identity * 11)
    rng = np.random.default_rng(4)
    for index in (0, 5, 10):
        classes = np.zeros((256, 256, 32), np.uint8)
        classes[:, :, 1] = 9
        classes[20 + index : 40 + index, [[130], [150]], 2:9] = 1
        classes[60:180, 20:60, 2:20] = 13
        write_labels(folder / "voxels" / f"{index:06d}.label", RAW_OF_CLASS[classes])
        unknown = np.zeros(classes.shape, bool)
        unknown[200:] = True
        write_bits(folder / "voxels" / f"{index:06d}.invalid", unknown)
        points = np.column_stack([rng.uniform(2, 50, 900), rng.uniform(-20, 20, 900), rng.uniform(-1.8, 0, 900),
                                  rng.random(900)]).astype(np.float32)
        points.tofile(folder / "velodyne" / f"{index:06d}.bin")
    return root


@pytest.fixture
def run(dataset, tmp_path, capsys, monkeypatch):
    """Runs ``pasco eval`` in an empty folder; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: object, root: object = dataset):
        places = [] if root is None else [str(root)]
        code = main(["eval", *places, *map(str, arguments)])
        return code, *capsys.readouterr()

    return call
