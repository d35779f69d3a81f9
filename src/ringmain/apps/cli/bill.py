"""`ringmain bill`: the bills that the running platform has issued. Amounts are printed as they stand on the bill."""

import click

from ringmain.apps.cli.client import Client
from ringmain.apps.cli.output import FORMATS, Format, show, show_one
from ringmain.apps.cli.settings import configuration, tenant


@click.group()
def bill() -> None:
    """List bills and show one."""


@bill.command("ls")
@click.option("--account", help="Only this account's.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many.")
@FORMATS
def list_bills(account: str | None, limit: int | None, output: Format) -> None:
    """List bills by number."""
    with Client(configuration(), tenant()) as client:
        show(client.pages("/api/v1/bills", {"account": account}, limit), output)


@bill.command("show")
@click.argument("number", type=click.IntRange(min=1))
@FORMATS
def show_bill(number: int, output: Format) -> None:
    """Show the bill of a NUMBER with its lines; `-o json` also says which readings each line rests on."""
    with Client(configuration(), tenant()) as client:
        found = client.get(f"/api/v1/bills/{number}")
    if output is not Format.TABLE:
        show_one(found, output)
        return
    show_one({name: value for name, value in found.items() if not isinstance(value, dict | list)}, output)
    click.echo()
    show(found["lines"], output, ("description", "from", "to", "quantity", "unit", "price", "amount"))
