"""What a run says of itself: `record` is JSON beside the photo, `page` one page to look at."""

from decontext.report.page import Figure, Pair, Row, Section, build_page
from decontext.report.record import (
    DISCLAIMER,
    FORMAT,
    Report,
    build_report,
    is_report_of,
    report_path,
    settings_from_report,
    sha256,
    write_report,
)
from decontext.verdict import DEMONSTRATION

__all__ = [
    "DEMONSTRATION",
    "DISCLAIMER",
    "FORMAT",
    "Figure",
    "Pair",
    "Report",
    "Row",
    "Section",
    "build_page",
    "build_report",
    "is_report_of",
    "report_path",
    "settings_from_report",
    "sha256",
    "write_report",
]
