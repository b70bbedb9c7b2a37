"""docs/your-code.md on the phone: the app of the quick start shows what a rule refuses."""

import json
from pathlib import Path

from copies import copied, run
from devices import PASSWORD
from own_tables_page import named_block
from phones_app import compiled, phone, written
from servers import serving_copy

from config import ROOT

PAGE = "your-code.md"
FLASK = ("flask", "--app", "wsgi")
STORY = f"""
  const {{ refusalOf, subscribe }} = require('./refusals')
  const seen = []
  await melon.register('ada@example.com', '{PASSWORD}')
  const make = (amount) => database.write(() =>
    database.get('invoices').create((one) => {{ one.amount = amount }}))
  const bad = await make(-1), good = await make(1)
  const stop = subscribe(() => seen.push([refusalOf(bad.id) ?? null, refusalOf(good.id) ?? null]))
  await melon.sync()
  await database.write(() => bad.update((one) => {{ one.amount = 2 }}))
  await melon.sync()
  stop()
  await melon.sync()
  console.log(JSON.stringify({{ seen, synced: [bad.syncStatus, good.syncStatus] }}))
"""


def test_a_refusal_is_shown_at_its_record(tmp_path: Path, melon_sync: Path) -> None:
    """And is gone when the record is mended."""
    copy, app = copied(tmp_path / "melon-api"), tmp_path / "my-app"
    models = copy / "app" / "models.py"
    models.write_text(f"{models.read_text()}\n\n{named_block(PAGE, 'models')}")
    rules = "\n\n".join(named_block(PAGE, name) for name in ("imports", "price"))
    (copy / "app" / "rules.py").write_text(rules)
    run(copy, *FLASK, "db", "upgrade")
    run(copy, *FLASK, "db", "migrate", "-m", "Invoices")
    run(copy, *FLASK, "db", "upgrade")

    written(app, melon_sync)
    (app / "src" / "refusals.ts").write_text(named_block(PAGE, "src/refusals.ts"))
    client = app / "src" / "melon.ts"
    option = "onRejected: showRefusals"
    assert f"{option} }})" in (ROOT / "docs" / PAGE).read_text()
    text = client.read_text().replace("storage,", f"storage, {option},")
    client.write_text(f"import {{ showRefusals }} from './refusals'\n{text}")
    run(copy, *FLASK, "sync", "schema", "--output", str(app / "src" / "model"))
    built = compiled(app, melon_sync, "out")
    with serving_copy(copy) as server:
        told = json.loads(phone(built, server.url, STORY).splitlines()[-1])
    assert told["seen"] == [["An amount is not negative.", None], [None, None]]
    assert told["synced"] == ["synced", "synced"]
