"""Memory does not grow with what is stored: the first and the fifth million messages of one process life."""

import pytest
from bench.measure import MEMORY_GROWTH_MIB_MAX, memory
from tests.campaigns.evidence import PROVE, record


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.needs("gcc")
@pytest.mark.timeout(1500)
def test_memory_does_not_grow_from_the_first_to_the_fifth_million_messages() -> None:
    if not PROVE:
        pytest.skip("runs in `make prove`: five million messages")
    grown = memory()
    record("memory", mib=grown)
    assert grown.growth_mib <= MEMORY_GROWTH_MIB_MAX, grown
