"""`reelsync migrate`."""

from consumer.database_errors import explain
from consumer.errors import MisconfiguredError, ReelsyncError, describe
from consumer.settings import Settings
from migrations.runner import current_revision, head_revision, upgrade

from .terminal import JsonOption, err, load, print_json, run_async


def migrate(json: JsonOption = False) -> None:  # noqa: FBT002 - a flag
    """Bring the database's schema up to this version. Safe to run at any time, and by several at once.

    Example: reelsync migrate
    """
    settings = load(Settings).database
    url = settings.url.get_secret_value()

    async def bring_up() -> str | None:
        try:
            before = await current_revision(url)
            await upgrade(url)
        except Exception as error:
            problem = explain(error, settings)
            if isinstance(problem, MisconfiguredError):
                raise problem from error
            message = (
                f"the database could not be migrated ({describe(error)}): is it up, is REELSYNC_DATABASE__URL right, "
                "may the role create tables, and does no other migration hold the lock?"
            )
            raise ReelsyncError(message) from error
        return before

    with err.status("Migrating…"):
        before = run_async(bring_up())
    head = head_revision()
    if json:
        print_json({"before": before, "after": head})
    elif before == head:
        err.print(f"Nothing to do: the schema is at {head}.")
    else:
        err.print(f"The schema went from {before or 'nothing'} to {head}.")
