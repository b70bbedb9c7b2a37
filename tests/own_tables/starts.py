"""How the server starts with one model or another: run in a copy of the project, with a JSON file
of texts for the end of app/models.py by name. Writes `NAME.stderr` and `NAME.code`.

Each start is a process of its own. What is not ours is imported once: it is most of a start. What
is ours is compiled by the first one, whose text is empty.
"""

import json
import os
import sys
from pathlib import Path

import apispec  # noqa: F401
import flask_compress  # noqa: F401
import flask_cors  # noqa: F401
import flask_jwt_extended  # noqa: F401
import flask_limiter  # noqa: F401
import flask_migrate  # noqa: F401
import flask_sqlalchemy  # noqa: F401
import prometheus_client  # noqa: F401
import pymysql  # noqa: F401
import redis  # noqa: F401
import structlog  # noqa: F401

MODELS = Path("app", "models.py")

sys.path.insert(0, str(Path.cwd()))
whole = MODELS.read_text()
for name, text in json.loads(Path(sys.argv[1]).read_text()).items():
    MODELS.write_text(whole + text)
    if (child := os.fork()) == 0:
        os.dup2(os.open(f"{name}.stderr", os.O_WRONLY | os.O_CREAT), 2)
        sys.dont_write_bytecode = bool(text)  # two may be of one second and one length
        import wsgi  # noqa: F401 - which mostly ends here

        sys.exit()
    _, status = os.waitpid(child, 0)
    Path(f"{name}.code").write_text(str(os.waitstatus_to_exitcode(status)))
