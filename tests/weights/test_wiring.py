"""The network as a list: the stages in the order of the data flow."""

from sdt_ref.weights.names import counted_as
from sdt_ref.weights.wiring import wiring
from tests.golden.test_trace import NETWORKS
from tests.networks import Network, input_of, model_of, weights_of


def test_wiring_names_each_stage_behind_those_that_it_reads() -> None:
    for n, _ in NETWORKS.values():
        weights = weights_of(n)
        stages = wiring(weights.architecture, weights.config)
        seen: set[str] = set()
        for name, stage in stages.items():
            assert {*stage.reads, *([stage.residual] if stage.residual else [])} <= seen
            seen.add(name)


def test_hooks_and_layers_are_those_of_a_run() -> None:
    n = Network(depth=2)
    weights = weights_of(n)
    stages = wiring(weights.architecture, weights.config).values()
    result = model_of(n)(input_of(n), record=True)
    assert [stage.hook for stage in stages if stage.hook] == list(result.spikes)
    assert [counted_as(stage.layer) for stage in stages if stage.layer] == list(result.counts)
