"""The app's tests have the fixtures of melon_api.testing: `phone`, `app` … (docs/testing.md)."""

import pytest

pytest_plugins = ["melon_api.testing"]


@pytest.fixture(scope="session")
def melon_settings() -> dict[str, str]:
    """Settings of the server under test that are not those of every test."""
    return {"MELON_APP": __name__.removesuffix(".tests.conftest")}
