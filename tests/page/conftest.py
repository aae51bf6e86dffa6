"""Pages that several tests look at, made once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref import report
from sdt_ref.cost.technology import TECHNOLOGIES
from sdt_ref.inputs.image import open_picture, preprocess
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.page.gather import Photo, gather
from sdt_ref.page.write import render, write
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.tensors import tensor_shapes
from tests.page.embedded import Page
from tests.shipped import CAT


@pytest.fixture(scope="session")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the sample photo."""
    pytest.importorskip("jinja2", reason="Jinja2 is not installed: pip install '.[report]'")
    path = tmp_path_factory.mktemp("report") / "cat.html"
    assert report.main([str(CAT), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def cat_run() -> tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]:
    """The same run, by the engine alone."""
    model = sdt_ref.load()
    x = preprocess(open_picture(CAT), model.preprocessing)[None]
    return model, x, model(x, record="currents")


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """The report of SDT-8-768 at 288 pixels, with random weights that fire plausibly; and its data."""
    pytest.importorskip("jinja2")
    rng = np.random.default_rng(0)
    architecture = sdt_ref.weights.architecture.Architecture(768, 8, 3, 1000, 3072, "lif")
    tensors = {}
    for name, shape in tensor_shapes(architecture).items():
        if name.endswith("running_var"):
            value = np.ones(shape)
        elif name.endswith("running_mean") or "conv.bias" in name:
            value = np.zeros(shape)
        elif "_bn" in name:
            value = np.full(shape, 1.5 if name.endswith("weight") else -0.1)
        else:
            gain = 1 if "embed.proj_conv.weight" in name else 6
            value = rng.standard_normal(shape, np.float32) * np.sqrt(gain / max(1, np.prod(shape[1:])))
        tensors[name] = np.asarray(value, np.float32)
    config = sdt_ref.weights.config.ModelConfig(4, "1111", 8, False, False)
    preprocessing, names = sdt_ref.weights.config.Preprocessing(224), tuple(map("class {}".format, range(1000)))
    model = SpikeDrivenTransformer(weights_file.Weights(tensors, config, preprocessing, names, {}))
    del tensors
    picture = Image.fromarray(rng.integers(0, 256, (288, 288, 3), np.uint8))  # takes most room as PNG
    data = gather(model, Photo("noise.png", picture), "random", 288, TECHNOLOGIES["45nm-float32"])
    path = tmp_path_factory.mktemp("wide") / "wide.html"
    write(path, render(data))
    return path, data
