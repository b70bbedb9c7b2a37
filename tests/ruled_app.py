"""The application with rules of an app that alter, make and delete what phones push: nothing of it
may keep them from holding the same in the end (contract push 10)."""

from melon_api.logic import Changes, before_push
from tests.example.models import Project, Task
from wsgi import app

__all__ = ["app"]


@before_push(Project)
def keep_a_task_in_each(projects: Changes) -> None:
    """Whatever phones do to it, but delete it."""
    for one in projects.saved:
        one["description"] = f"{one['name']}!"
    made = [
        {"id": f"s-{one.id}"[:36], "project_id": one.id, "is_completed": True}
        for one in projects.saved
    ]
    projects.account.save(Task, *made)


@before_push(Task)
def drop_a_tenth(tasks: Changes) -> None:
    for one in tasks.saved:
        one["updated_at"] = one.before.get("updated_at", 0) + 1
        if one["title"].endswith("7"):
            one.delete()
