"""What the API server writes into new objects by itself."""

import random

from addonry.simulator.admission.completion import random_suffix


def test_names_are_drawn_without_moving_the_generator_of_the_process():
    before = random.getstate()
    names = {random_suffix() for _ in range(20)}
    assert len(names) > 1
    assert random.getstate() == before
