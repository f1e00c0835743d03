from collections.abc import Iterator

import pytest
import torch
from tests.support.crowd import Crowd, make_crowd

from darkroom.vision.judges.panel import Panel
from darkroom.vision.judges.recognisers import own_judges


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small run slower on more threads when other work shares the processor."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def staff() -> Crowd:
    return make_crowd(8, 1)


@pytest.fixture(scope="session")
def strangers() -> Crowd:
    return make_crowd(12, 2)


@pytest.fixture(scope="session")
def panel(staff: Crowd, strangers: Crowd) -> Panel:
    """Trained on three photos a person in the range -1 to 1, with 120 photos of strangers."""
    photos, people = staff.draw(3, 10)
    public, who = strangers.draw(10, 11)
    return Panel.fit(
        2 * photos - 1,
        people,
        public_images=2 * public - 1,
        public_people=who + 500,
        low=-1.0,
        high=1.0,
        seed=3,
        judges=own_judges(250),
    )
