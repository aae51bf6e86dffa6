"""The attention maps of the sample photo."""

import sdt_ref
from sdt_ref.inputs.image import open_picture, preprocess
from sdt_ref.measuring.attention_map import AttentionMap, attention_maps
from tests.shipped import CAT


def maps_of_the_cat() -> list[AttentionMap]:
    model = sdt_ref.load()
    x = preprocess(open_picture(CAT), model.preprocessing)[None]
    return attention_maps(model(x, record=True).spikes)
