"""How the API describes itself: `/openapi.json` and `/docs`."""
