"""What spikingjelly reads and counts: reference.npz, and real.json for recordings that are not kept here.

pip install spikingjelly==0.0.0.0.12 numpy; python -m tests.recordings.make ../shared/events

It is no dependency of the tests: it pulls torchvision, and with it another torch. NumPy 2 has no binary `fromstring`,
which it calls to read AEDAT 2.0, so it gets the same from `frombuffer`.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np

from tests.data.recordings import BYTES, HERE, SPLITS


def main() -> None:
    from spikingjelly import datasets
    from spikingjelly.datasets.cifar10_dvs import CIFAR10DVS

    readers = {
        "nmnist": datasets.load_ATIS_bin,
        "aedat2": CIFAR10DVS.load_origin_data,
        "aedat3": datasets.load_aedat_v3,
        "npz": np.load,
    }
    reference: dict[str, Any] = {}
    for name, read in readers.items():
        path = HERE / "scratch"
        path.write_bytes(BYTES[name]())
        with mock.patch.object(np, "fromstring", np.frombuffer):
            events = read(str(path))
        reference |= {f"{name}/{key}": np.asarray(events[key]).astype(np.int64) for key in "txyp"}
        for steps, split in SPLITS:
            frames = datasets.integrate_events_by_fixed_frames_number(events, split, steps, 128, 128)
            reference[f"{name}/{split}/{steps}"] = frames.astype(np.uint8)  # no count is above 255
        path.unlink()
    np.savez_compressed(HERE / "reference.npz", **reference)

    folder = Path(sys.argv[1])
    real = {}
    with h5py.File(folder / "nmnist-1100.h5") as file:
        for index in (0, 1, 50, 99):
            first, last = file["test/offset"][index : index + 2]
            (HERE / "scratch").write_bytes(file["test/bin"][first:last].tobytes())
            events = datasets.load_ATIS_bin(str(HERE / "scratch"))
            real[f"nmnist-1100.h5/{index}"] = hashes(datasets, events, 34, 34)
    (HERE / "scratch").unlink()
    real["sample_nmnist.bin"] = hashes(datasets, datasets.load_ATIS_bin(str(folder / "sample_nmnist.bin")), 34, 34)
    import aedat

    packets = [packet["events"] for packet in aedat.Decoder(folder / "sample.aedat4") if "events" in packet]
    everything = np.concatenate(packets)
    events = {key: everything[name].astype(np.int64) for key, name in zip("txyp", ("t", "x", "y", "on"), strict=True)}
    real["sample.aedat4"] = hashes(datasets, events, 240, 320)
    (HERE / "real.json").write_text(json.dumps(real, indent=1) + "\n")


def hashes(datasets: object, events: dict[str, Any], height: int, width: int) -> dict[str, str]:
    return {
        f"{split}/{steps}": hashlib.sha256(
            datasets.integrate_events_by_fixed_frames_number(events, split, steps, height, width)
            .astype("<i8")
            .tobytes()
        ).hexdigest()
        for steps, split in SPLITS
    }


if __name__ == "__main__":
    main()
