"""The referee: schemathesis reads /openapi.json and tries to prove it wrong, over a real socket.

400 means that the schema forbids a request, so one that the schema allows may never get it; 422 says what no schema
can (a span that ends before it starts), so it is allowed for both.
"""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = 5
"""Of each operation and kind of fuzzing; coverage comes on top. A longer look: RINGMAIN_FUZZ_EXAMPLES=500."""

SETTINGS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
[parameters]
"path.id" = { dictionary = "names", probability = 0.5 }
"path.number" = { dictionary = "numbers", probability = 0.5 }
"query.channel" = { dictionary = "channels", probability = 0.7 }
"query.from" = { dictionary = "times", probability = 0.5 }
"query.to" = { dictionary = "times", probability = 0.5 }
"body.device" = { dictionary = "names", probability = 0.5 }
"body.usage_point" = { dictionary = "names", probability = 0.5 }
"body.tariff" = { dictionary = "names", probability = 0.5 }
[dictionaries.names]
values = ["meter-1", "home", "smith", "flat", "main", "gw-1"]
[dictionaries.numbers]
values = [1, 2]
[dictionaries.channels]
values = ["energy_wh"]
[dictionaries.times]
values = ["2013-01-01T00:00:00Z", "2013-01-02T12:00:00+01:00", "2013-01-03T00:00:00Z"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "422"]
"""


def referee(directory: Path, url: str, token: str) -> None:
    """One run; its report is the message of the failure."""
    (directory / "schemathesis.toml").write_text(SETTINGS)
    found = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing", "--mode", "all"),
            *("--max-examples", os.environ.get("RINGMAIN_FUZZ_EXAMPLES", str(EXAMPLES))),
            *("--seed", "1", "--workers", "1", "--continue-on-failure", "--generation-database", "none"),
            *("--header", f"Authorization: Bearer {token}", "--request-timeout", "30"),
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-4_000:]
