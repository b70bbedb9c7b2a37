"""The app's own routes: the `blueprint` of its `routes` module, below /api/v1 (docs/app.md)."""

from flask import Blueprint, Flask

from melon_api import room
from melon_api.web.request import API


def init_app(app: Flask) -> None:
    """Register them where there are any. Raises TypeError for a module without a blueprint."""
    package = app.config["MELON_APP"]
    if (routes := room.part(package, "routes")) is None:
        return
    blueprint = getattr(routes, "blueprint", None)
    if not isinstance(blueprint, Blueprint):
        raise TypeError(f"{package}.routes: `blueprint` must be a flask.Blueprint (docs/app.md)")
    app.register_blueprint(blueprint, url_prefix=API + (blueprint.url_prefix or ""))
