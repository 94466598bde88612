"""Some of each kind of damaged input: one sentence, or the right result."""

import pytest

from tests import damaged

EVERY = {"checkpoints": 9, "encoder folders": 4, "manifests": 1, "records": 2, "feature banks": 3}


@pytest.mark.parametrize("kind", damaged.KINDS)
def test_damaged_input_is_one_sentence(kind):
    make, use = damaged.KINDS[kind]
    found = {case.name: damaged.outcome(case, use) for i, case in enumerate(make()) if i % EVERY[kind] == 0}
    assert {name: said for name, (outcome, said) in found.items() if outcome == "wrong"} == {}
    assert found[next(iter(found))][0] == "right", "the good one is"
    if kind == "feature banks":
        assert {outcome for outcome, _ in found.values()} == {"right"}, "what is damaged is computed again"
    else:
        assert sum(outcome == "refused" for outcome, _ in found.values()) > len(found) / 3
