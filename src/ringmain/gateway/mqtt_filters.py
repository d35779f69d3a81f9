"""What one connection listens to: which filters it is granted (§3.8), and at which QoS it hears a notice.

Fails closed: an error on our side is a refusal.
"""

import logging
from collections.abc import Iterable, Mapping

from ringmain.gateway.broker.access import Access, Grant
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.provisioning import Claimant
from ringmain.gateway.route import grants
from ringmain.model.device import Device
from ringmain.protocols.mqtt.events import Limits
from ringmain.protocols.mqtt.packets import Subscription
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.protocols.mqtt.topics import shared_filter

log = logging.getLogger(__name__)

SUBSCRIPTIONS_MAX = 16
"""A device's own tree has a handful of notices; more filters than this are a mistake."""

CONSUMER_SUBSCRIPTIONS_MAX = 1_000
"""Of a back-end program, which may follow single devices."""

FILTER_WEIGHT_MAX = 4 * 1024 * 1024
"""Of all filters of one connection together: their characters and, for each level, what it takes in the tree, as if
none were shared. A thousand usual ones have half of it; one filter may have 4,096 characters or 201 levels.
"""

LEVEL_WEIGHT = 400


class Filters:
    """Of one connection. Whoever it is, is one of three: a device with its access, another client with its access, or
    a claimant; as long as it is nobody, it is granted nothing.
    """

    def __init__(self, limits: Limits) -> None:
        self.access: Access | None = None
        self.device: Device | None = None
        self.claimant: Claimant | None = None
        self._limits = limits
        self._listens: dict[str, tuple[tuple[str, ...], int]] = {}
        self._weight = 0

    def __len__(self) -> int:
        return len(self._listens)

    def restore(self, held: Mapping[str, Held]) -> None:
        """What its session had before."""
        self._listens = {each.asked: (self._notices(each.asked), min(each.qos, 1)) for each in held.values()}
        self._weight = sum(map(_weight, self._listens))

    def decide(self, subscription: Subscription, number: int) -> Held | Reason:
        """What is granted of one filter, or why it is not. `number` is its subscription identifier."""
        limits, pattern = self._limits, subscription.filter
        if subscription.refusal:
            return subscription.refusal
        group, pattern = shared_filter(pattern)
        if group and (not limits.shared or self.device or not pattern):
            return Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED if pattern else Reason.TOPIC_FILTER_INVALID
        grant = self._granted(pattern)
        if isinstance(grant, Reason):
            return grant
        count_max = SUBSCRIPTIONS_MAX if self.device or self.claimant else CONSUMER_SUBSCRIPTIONS_MAX
        if subscription.filter not in self._listens and (
            len(self._listens) >= count_max or self._weight + _weight(subscription.filter) > FILTER_WEIGHT_MAX
        ):
            return Reason.QUOTA_EXCEEDED
        return Held(
            subscription.filter,
            grant.filter,
            min(subscription.qos, limits.maximum_qos),
            subscription.no_local,
            subscription.retain_as_published,
            number,
            group,
            grant.under,
            grant.shown,
        )

    def add(self, held: Held) -> tuple[str, ...]:
        """It was granted; the notices that come with it."""
        notices = self._notices(held.asked)
        if held.asked not in self._listens:
            self._weight += _weight(held.asked)
        self._listens[held.asked] = (notices, min(held.qos, 1))
        return notices

    def drop(self, patterns: Iterable[str]) -> list[bool]:
        """These are heard no more; which of them were."""
        return [self._drop(pattern) for pattern in patterns]

    def _drop(self, pattern: str) -> bool:
        if self._listens.pop(pattern, None) is None:
            return False
        self._weight -= _weight(pattern)
        return True

    @property
    def notices(self) -> list[str]:
        """Every notice that is heard."""
        return [each for found, _ in self._listens.values() for each in found]

    def qos_of(self, notice: str) -> int | None:
        """The best QoS at which a notice is heard; None where it is not."""
        return max((granted for notices, granted in self._listens.values() if notice in notices), default=None)

    def _granted(self, pattern: str) -> Grant | Reason:
        if self.claimant:
            return Grant(pattern) if self.claimant.grants(pattern) else Reason.NOT_AUTHORIZED
        try:
            return self.access.subscribes(pattern) if self.access else Reason.NOT_AUTHORIZED
        except Exception:
            log.exception("it could not be found out whether a client may subscribe; it may not")
            return Reason.NOT_AUTHORIZED

    def _notices(self, pattern: str) -> tuple[str, ...]:
        if self.device:
            return grants(self.device, pattern)
        return self.claimant.grants(pattern) if self.claimant else ()


def _weight(pattern: str) -> int:
    return len(pattern) + LEVEL_WEIGHT * (pattern.count("/") + 1)
