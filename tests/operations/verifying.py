"""A verification, and whether it found all right."""

from reelsync.consumer.cli.verify import run_verification
from reelsync.consumer.operations.verify.verification import Report
from reelsync.consumer.settings import Settings


async def verified(settings: Settings, slices: int = 0) -> Report:
    return await run_verification(settings, slices)


def agrees(report: Report) -> bool:
    return not report.found and not report.incomplete and report.records > 0
