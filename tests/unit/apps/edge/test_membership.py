"""A gateway that has not joined, has lost a part, or has a damaged membership says so and starts nothing."""

import msgspec
import pytest

from ringmain.apps.edge.membership import Membership, files_in, load
from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceId, TenantId

WHOLE = Membership("platform", 8883, TenantId("t"), DeviceId("gw"), "secret-token")


def write(directory, membership=WHOLE, leave_out=()):
    files = files_in(directory)
    files.key.parent.mkdir(parents=True)
    for path in (files.key, files.cert, files.ca):
        if path.name not in leave_out:
            path.write_text("x")
    files.membership.write_bytes(msgspec.json.encode(membership))


def test_a_whole_one_is_read(tmp_path):
    write(tmp_path)
    assert load(tmp_path) == WHOLE
    assert "secret" not in repr(WHOLE)


def test_one_that_has_not_joined_is_told_how(tmp_path):
    with pytest.raises(Failed, match="belongs to no platform yet") as failed:
        load(tmp_path)
    assert "ringmain edge join" in failed.value.hint


@pytest.mark.parametrize("name", ["gateway.key", "gateway.pem", "ca.pem"])
def test_a_lost_part_is_named(tmp_path, name):
    write(tmp_path, leave_out=(name,))
    with pytest.raises(Failed, match=name):
        load(tmp_path)


def test_a_damaged_one_is_not_replaced(tmp_path):
    write(tmp_path)
    files_in(tmp_path).membership.write_bytes(b"{")
    with pytest.raises(Failed, match="can not be read"):
        load(tmp_path)
    assert files_in(tmp_path).membership.read_bytes() == b"{"
