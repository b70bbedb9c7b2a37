"""The app's own routes: the `blueprint` of its `routes` module, below /api/v1 (docs/app.md)."""

from flask import Blueprint, Flask

from melon_api import room
from melon_api.web.request import API


def init_app(app: Flask) -> None:
    """Register them where there are any. Raises AppError for a module without a blueprint."""
    package = app.config["MELON_APP"]
    if (routes := room.part(package, "routes")) is None:
        return
    blueprint = getattr(routes, "blueprint", None)
    if not isinstance(blueprint, Blueprint):
        raise room.AppError(
            f"{package}.routes: `blueprint` must be a flask.Blueprint (docs/app.md)"
        )
    if blueprint.name in app.blueprints:
        raise room.AppError(
            f"{package}.routes: the name {blueprint.name!r} is Melon's; give your blueprint another"
        )
    app.register_blueprint(blueprint, url_prefix=API + (blueprint.url_prefix or ""))
