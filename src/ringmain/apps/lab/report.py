"""The lab's report: figures for programs as JSON, and the same for people in a few lines.

Amounts and energy are JSON numbers, and beside them strings with every digit that stands on the bill.
"""

import msgspec


class Report(msgspec.Struct, frozen=True):
    """What one run showed. `lost` is the judge's figure: stamps of the source that the API lacks or has otherwise.

    `duplicates_dropped` are rows of the file that say the same again. `missing` are half hours of the year that
    the data file itself does not hold.
    """

    year: int
    faults: str
    seed: int
    intervals: int
    missing: int
    energy_kwh: float
    energy_kwh_exact: str
    amount: float
    amount_exact: str
    amount_tou: float
    amount_tou_exact: str
    currency: str
    duplicates_dropped: int
    conflicts: int
    lost: int
    bill_sha256: str
    messages: int
    resent: int
    seconds: float
    replay_seconds: float
    tenant: str
    storage_dir: str
    ringmain: str
    python: str
    complaints: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the judge found nothing."""
        return not self.complaints and self.lost == 0

    def more_rows(self) -> list[tuple[str, str]]:
        """Further rows for the summary: what a run of another kind has to tell."""
        return []


def report_json(report: Report) -> bytes:
    """The report as it is written to a file."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def summary(report: Report) -> str:
    """The report for people."""
    complete = "complete" if not report.missing else f"{report.missing:,} half hours are not in the data file"
    rows = [
        ("intervals", f"{report.intervals:,} of {report.year} ({complete})"),
        ("energy", f"{report.energy_kwh_exact} kWh"),
        ("flat bill", f"{report.currency} {report.amount_exact}"),
        ("time of use", f"{report.currency} {report.amount_tou_exact}"),
        ("duplicates", f"{report.duplicates_dropped:,} dropped, {report.conflicts:,} conflicts"),
        ("messages", f"{report.messages:,} acknowledged, {report.resent:,} sent again"),
        ("lost", f"{report.lost:,} (by the checking process)"),
        ("bill", f"sha256 {report.bill_sha256}"),
        ("time", f"{report.seconds:.1f} s, of which replay {report.replay_seconds:.1f} s"),
        ("data", f"{report.storage_dir}, tenant {report.tenant}" if report.storage_dir else "not kept (see --keep)"),
    ]
    rows[6:6] = report.more_rows()
    lines = [f"  {name:<12}{text}" for name, text in rows]
    if report.passed:
        lines.append("the source and the API agree on every stamp and value")
    else:
        lines += ["the checking process complains:", *(f"  - {line}" for line in report.complaints)]
    return "\n".join(lines)
