"""What ships with the package."""

from pathlib import Path

import sdt_ref
from sdt_ref.weights.presets import class_names

CAT = Path(sdt_ref.__file__).parent / "data" / "cat.jpg"
DIGIT = CAT.with_name("digit.bin")
CIFAR10 = class_names("cifar10") or ()
