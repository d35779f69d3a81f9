"""Delegated sign-in: an edge gateway recognises its own meters, also while the platform can not be reached.

It knows nothing but the roster that the platform gave it: whom it speaks for, in which state they are, and a verifier
of each token. It fails closed: without a roster nobody comes in, and whatever is not in it does not exist.
"""

from collections.abc import Callable

from ringmain.model.device import PERMISSIONS, Device, LifecycleState, Principal, Profile
from ringmain.model.errors import Refused
from ringmain.model.gateway import Roster, RosterEntry, token_sha256, verifier
from ringmain.model.ids import DeviceKey

_WRONG = "unknown device or wrong token"
_HINT = "sign in as tenant/device (or the bare id) with the token as password; the device must be delegated to us"


class Delegates:
    """The roster as it is asked: by token, and by device. Replaced as a whole by `take`."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.roster: Roster | None = None
        self._by_verifier: dict[bytes, RosterEntry] = {}
        self._by_key: dict[DeviceKey, RosterEntry] = {}
        self._profiles: dict[str, Profile] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def take(self, roster: Roster) -> list[DeviceKey]:
        """Make it the one in force; returns the devices whose connections have to go: they are no longer in it, may
        no longer connect, or have another token.
        """
        before = self._by_key
        self.roster = roster
        self._by_key = {entry.key: entry for entry in roster.entries}
        self._by_verifier = {known: entry for entry in roster.entries for known in entry.verifiers}
        self._profiles = {profile.name: profile for profile in roster.profiles}
        return [key for key, entry in before.items() if not self._may_stay(entry, self._by_key.get(key))]

    def _may_stay(self, before: RosterEntry, now: RosterEntry | None) -> bool:
        if now is None or now.profile != before.profile or not set(before.verifiers) <= set(now.verifiers):
            return False
        return PERMISSIONS[now.state].connect and self._in_time(now)

    def principal(self, key: DeviceKey) -> Principal | None:
        """The device of that key as it is now, if it may connect."""
        entry = self._by_key.get(key)
        if entry is None or not PERMISSIONS[entry.state].connect or not self._in_time(entry):
            return None
        return self._principal(entry)

    async def sign_in(
        self, user_name: str | None, password: bytes | None, certificate: bytes | None = None
    ) -> Principal:
        """As the platform's own `Authenticator.sign_in`: `tenant/device` or the bare id with the token as password,
        or the token alone as user name. Certificates are not known here. `Refused` otherwise.
        """
        del certificate
        try:
            token = password.decode() if password else user_name or ""
        except UnicodeDecodeError as error:
            raise Refused("bad_credentials", _WRONG, _HINT) from error
        roster = self.roster
        if roster is None:
            raise Refused("unavailable", "this gateway has no roster yet", "it comes with the first uplink")
        entry = self._by_verifier.get(verifier(roster.salt, token_sha256(token))) if token else None
        if entry is None or (password and not _is_named(user_name or "", entry, roster)):
            raise Refused("bad_credentials", _WRONG, _HINT)
        if not self._in_time(entry):
            raise Refused("not_delegated", f"device {entry.id} is not delegated to this gateway now", _HINT)
        if not PERMISSIONS[entry.state].connect:
            code = "device_suspended" if entry.state is LifecycleState.SUSPENDED else "device_not_active"
            raise Refused(code, f"device {entry.id} is {entry.state}", "an operator can change that on the platform")
        return self._principal(entry)

    def _in_time(self, entry: RosterEntry) -> bool:
        """Whether it is delegated to us now. Its start is in event time and does not matter here: a meter may have
        old readings to deliver, or a clock that is behind.
        """
        return entry.to_ms is None or self._now_ms() < entry.to_ms

    def _principal(self, entry: RosterEntry) -> Principal:
        roster = self.roster
        profile = self._profiles.get(entry.profile)
        if roster is None or profile is None:
            raise Refused("bad_credentials", _WRONG, _HINT)
        device = Device(
            entry.key,
            roster.tenant,
            entry.id,
            entry.profile,
            entry.state,
            "main",
            entry.state_since_ms,
            entry.state_since_ms,
        )
        return Principal(device, profile)


def _is_named(user_name: str, entry: RosterEntry, roster: Roster) -> bool:
    """Whether that is its name: with the tenant, or the bare id, for a gateway has devices of one tenant only."""
    tenant, slash, device = user_name.rpartition("/")
    return device == entry.id and (not slash or tenant == roster.tenant)
