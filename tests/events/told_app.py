"""The application with a job that notes what it is told in the file TOLD, a line each."""

import os
import time

from melon_api.events import Event, after
from tests.example.models import Task
from wsgi import app

__all__ = ["app"]

FILE = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@after(Task, "noted")
def note(event: Event) -> None:
    os.write(FILE, f"{event.account_id} {event.clock} {' '.join(event.created)}\n".encode())
    time.sleep(0.002)  # somewhere to be killed
