"""What the campaigns leave behind: their figures, by campaign, in `reports/`.

`make prove` writes `reports/prove.json`, any other run `reports/campaigns.json`, so that small figures never replace
those of a full campaign.
"""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

PROVE = os.environ.get("RINGMAIN_PROVE") == "1"
"""Whether this is the campaign at full figures."""

_REPORT = Path(__file__).resolve().parents[2] / "reports" / ("prove.json" if PROVE else "campaigns.json")


def record(campaign: str, **figures: object) -> None:
    """Keep a campaign's figures, in place of those it left before."""
    known: dict[str, Any] = msgspec.json.decode(_REPORT.read_bytes()) if _REPORT.exists() else {}
    known[campaign] = {
        **figures,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average": round(os.getloadavg()[0], 1),
        "machine": f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}",
    }
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    draft = _REPORT.with_suffix(".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(known), indent=2) + b"\n")
    draft.replace(_REPORT)
