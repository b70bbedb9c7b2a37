"""`flask users …`: accounts, from the command line."""

from datetime import timedelta

import click
from flask.cli import AppGroup

from melon_api.auth.schemas import RegisterSchema
from melon_api.auth.sessions import clean_up
from melon_api.models.base import db, utc_now
from melon_api.ops.durations import Duration
from melon_api.passwordless.oidc import grants
from melon_api.sentences import plainly
from melon_api.users import admin, devices, showing
from melon_api.users.finding import find

users = AppGroup("users", help="Look after accounts; EMAIL_OR_ID names one.")

account = click.argument("account", metavar="EMAIL_OR_ID")
password = click.option(
    "--password", prompt=True, hide_input=True, confirmation_prompt=True, help="Or be asked for it."
)


@users.command("list")
@click.argument("text", default="")
@click.option("--inactive", is_flag=True, help="Only those that are deactivated.")
@plainly
def list_command(text: str, inactive: bool) -> None:
    """Find accounts by TEXT in address or name, or all.

    Prints id, address, state, sessions, age.
    """
    for found in admin.overview(text, only_inactive=inactive):
        state = "active" if found.is_active else "inactive"
        verified = "verified" if found.is_verified else "unverified"
        since, email = f"{found.created_at:%Y-%m-%d}", found.email or "-"
        click.echo(f"{found.id}  {email}  {state}  {verified}  {found.sessions} sessions  {since}")


@users.command("create")
@click.argument("email")
@click.option("--name", default=None, help="What they are called.")
@click.option("--verified", is_flag=True, help="The address is known to be theirs.")
@password
@plainly
def create_command(email: str, name: str | None, verified: bool, password: str) -> None:
    """Open an account."""
    body = RegisterSchema().load({"email": email, "password": password, "name": name})
    user_id = admin.create(body["email"], body["password"], body["name"], is_verified=verified)
    click.echo(f"Created {user_id}")


@users.command("deactivate")
@account
@plainly
def deactivate_command(account: str) -> None:
    """Shut an account out at once; its data stays."""
    admin.set_active(find(account), is_active=False)
    click.echo("Deactivated; its tokens get 403 account_disabled.")


@users.command("activate")
@account
@plainly
def activate_command(account: str) -> None:
    """Let a deactivated account in again, still signed in."""
    admin.set_active(find(account), is_active=True)
    click.echo("Activated.")


@users.command("delete")
@account
@click.confirmation_option(prompt="The account and all its data will be gone for good. Go on?")
@plainly
def delete_command(account: str) -> None:
    """Delete an account and all its data."""
    admin.delete(find(account))
    click.echo("Deleted.")


@users.command("set-password")
@account
@password
@plainly
def set_password_command(account: str, password: str) -> None:
    """Set a new password; every device is signed out."""
    admin.set_password(find(account), password)
    click.echo("Changed; every device is signed out.")


@users.command("show")
@account
@plainly
def show_command(account: str) -> None:
    """Show an account: its ways in, devices, last change, counts of records.

    Nothing secret, and nothing of what the records hold.
    """
    user_id = find(account)
    for line in showing.show(user_id):
        click.echo(line)
    for session in devices.sessions(user_id):
        click.echo(f"device        {devices.line(session)}")


@users.command("sessions")
@account
@click.option("--end", metavar="SESSION_ID", help="Sign this device out; `all` for every one.")
@plainly
def sessions_command(account: str, end: str | None) -> None:
    """List an account's devices, those signed out too."""
    user_id = find(account)
    if end is not None:
        count = admin.end_sessions(user_id, None if end == "all" else end)
        click.echo(f"Signed {count} out.")
    for session in devices.sessions(user_id):
        click.echo(f"{session.id}  {devices.line(session)}")


@users.command("clean-sessions")
@click.option(
    "--older-than", type=Duration(), default="7d", show_default=True, help="Since its end."
)
@click.option("--dry-run", is_flag=True, help="Count only.")
def clean_command(older_than: int, dry_run: bool) -> None:
    """Delete what has ended.

    Sessions, and mailed tokens and codes that expired; in small steps.
    """
    before = utc_now() - timedelta(milliseconds=older_than)
    sessions, tokens = clean_up(db.engine, before, dry_run=dry_run)
    would = "Would delete" if dry_run else "Deleted"
    click.echo(f"{would} {sessions} sessions and {tokens} mailed tokens.")
    if not dry_run:
        done, left = grants.settle()
        click.echo(f"Revoked {done} at their providers; {left} are left.")
