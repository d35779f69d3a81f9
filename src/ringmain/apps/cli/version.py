"""`ringmain version`: which release this is, and on what it runs; the first lines of a useful bug report."""

import platform
import sqlite3
from importlib.metadata import version as version_of

import click

from ringmain import __version__


@click.command()
@click.option("--verbose", "-v", is_flag=True, help="Also the interpreter and the libraries that hold data.")
def version(verbose: bool) -> None:
    """Print the version."""
    click.echo(f"ringmain {__version__}")
    if verbose:
        click.echo(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
        click.echo(f"sqlite {sqlite3.sqlite_version}")
        for name in ("duckdb", "sqlalchemy", "msgspec", "uvloop", "cryptography"):
            click.echo(f"{name} {version_of(name)}")
