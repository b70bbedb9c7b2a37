"""The printed modules as files in an app. What people changed there is not written over."""

import hashlib
import re
from pathlib import Path

from tools.app_schema.modules import Module

HEAD = "// Made by `flask sync schema` ({digest}): change the server's models, not this file.\n"
MADE = re.compile(r"// Made by `flask sync schema` \(([0-9a-f]{16})\).*\n")


class EditedFiles(Exception):
    """Files that would be lost; `paths` names them."""

    def __init__(self, paths: list[Path]) -> None:
        super().__init__(", ".join(map(str, paths)))
        self.paths = paths


def write(modules: list[Module], folder: Path, *, force: bool = False) -> list[Path]:
    """Write each as `<path>.ts` under `folder`; the files that an earlier run made and this one did
    not are answered, and stay. Raises EditedFiles, and then has written nothing."""
    texts = {folder / f"{module.path}.ts": _signed(module.text()) for module in modules}
    edited = [path for path in texts if path.exists() and not _is_ours(path)]
    if edited and not force:
        raise EditedFiles(edited)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return sorted(p for p in (folder / "models").glob("*.ts") if p not in texts and _is_ours(p))


def _signed(text: str) -> str:
    return HEAD.format(digest=_digest(text)) + "\n" + text


def _is_ours(path: Path) -> bool:
    """As we wrote it; git may have changed the ends of its lines, which reading puts right."""
    text = path.read_text(encoding="utf-8", errors="replace")
    made = MADE.match(text)
    return made is not None and made[1] == _digest(text[made.end() + 1 :])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
