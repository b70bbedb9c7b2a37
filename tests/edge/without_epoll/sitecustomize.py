"""As on a system without epoll: this selector waits for the sockets. Python imports the file at its
start, where its folder is in PYTHONPATH."""

import os
import select
import selectors

del select.epoll
setattr(selectors, "DefaultSelector", getattr(selectors, os.environ["SELECTOR"]))
