"""The index beside a plain list of rows."""

from hypothesis import given
from hypothesis import strategies as st

from ringmain.adapters.embedded.buffer_index import BufferIndex, Facts
from ringmain.model.ids import Offset


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.integers(0, 9)), max_size=60), st.data())
def test_it_agrees_with_a_plain_list(steps, data):
    index, plain = BufferIndex(), {}
    for number, sealed, size in steps:
        offset = Offset(number)
        if offset in plain:
            assert index.remove(offset) == plain.pop(offset)
            assert index.remove(offset) is None
        else:
            plain[offset] = Facts(sealed, size, 0, 0, size * 10)
            index.add(offset, plain[offset])
    after, bytes_max = Offset(data.draw(st.integers(0, 40))), data.draw(st.integers(0, 200))
    kind = data.draw(st.sampled_from([None, True, False]))
    wanted: dict[Offset, Facts] = {}
    for offset in sorted(plain):
        if offset > after and kind in (None, plain[offset].sealed):
            if wanted and sum(each.size for each in wanted.values()) >= bytes_max:
                break
            wanted[offset] = plain[offset]
    assert index.behind(after, bytes_max, kind) == wanted
    assert list(index.behind(after, bytes_max, kind)) == list(wanted)
    assert index.rows == len(plain)
    assert index.first == min(plain, default=0)
    assert index.bytes == sum(each.size for each in plain.values())
    assert index.sealed_readings == sum(each.readings for each in plain.values() if each.sealed)
    assert index.sealed_rows == sum(each.sealed for each in plain.values())
