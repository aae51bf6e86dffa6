"""What a run gives back."""

import pickle
from concurrent.futures import ThreadPoolExecutor

from tests.networks import Network, input_of, model_of


def test_result_tables_are_made_once_and_lent_safely() -> None:
    n = Network()
    result = model_of(n)(input_of(n))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: id(result.counts["head"]), range(50)))
    assert len(set(made)) == 1
    result.other_counts["time_mean"].ac[:] = 7
    assert result.other_counts["time_mean"].ac.tolist() != [7] * n.time_steps
    copied = pickle.loads(pickle.dumps(result))
    assert copied.counts["head"].ac.tolist() == result.counts["head"].ac.tolist()
    assert result != copied
    assert len({result, copied}) == 2
