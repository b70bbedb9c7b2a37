"""docs/sharing.md: its models and its files as printed, and two people who use them."""

import json
import re
import shutil
from pathlib import Path

from copies import copied, run
from devices import PASSWORD
from own_tables_page import named_block
from phones_app import block, compiled, phone, written
from servers import serving_copy

from config import ROOT

PAGE = "sharing.md"
FLASK = ("flask", "--app", "wsgi")
STORY = f"""
  const person = async (at) => {{
    const {{ melon }} = require(at + '/melon')
    const email = at.slice(3) + '@example.com'
    const {{ id }} = await melon.register({{ email, password: '{PASSWORD}' }})
    const {{ database }} = require(at + '/database')
    return {{ id, spaces: melon.spaces, database, ...require(at + '/sharing') }}
  }}
  const make = ({{ database }}, table, values) => database.write(() =>
    database.get(table).create((one) => Object.assign(one, values)))
  const held = async ({{ database }}) => {{
    const rows = ['projects', 'tasks'].map((table) => database.get(table).query().fetch())
    return (await Promise.all(rows)).flat().map((one) => one.name ?? one.title).sort()
  }}
  const ada = await person('../ada'), ben = await person('../ben'), seen = []
  const food = await make(ada, 'projects', {{ name: 'Food' }})
  await make(ada, 'tasks', {{ title: 'Milk', projectId: food.id }})
  await ada.share(food)
  await ben.join(await ada.invite(food))
  seen.push(await held(ben))
  const [milk] = await ben.database.get('tasks').query().fetch()
  await ben.database.write(() => milk.update((one) => {{ one.title = 'Oat milk' }}))
  await make(ben, 'tasks', {{ title: 'Bread', projectId: food.id }})
  await ada.spaces.remove(food.id, ben.id)
  for (const one of [ben, ben, ada]) await one.sync()
  seen.push(await held(ben), await held(ada))
  console.log(JSON.stringify(seen))
"""


def test_two_people_share_a_list_as_the_page_says(tmp_path: Path, melon_sync: Path) -> None:
    """Offline it is shared; who is taken out keeps what nobody else has."""
    copy, app = copied(tmp_path / "melon-api"), tmp_path / "my-app"
    (copy / "app" / "models.py").write_text(named_block(PAGE, "models"))
    run(copy, *FLASK, "db", "upgrade")
    run(copy, *FLASK, "db", "migrate", "-m", "Sharing")
    run(copy, *FLASK, "db", "upgrade")
    written(app, melon_sync)
    for name in ("sharing", "kept", "melon"):
        page = (ROOT / "docs" / PAGE).read_text()
        (app / "src" / f"{name}.ts").write_text(block(page, f"src/{name}.ts"))
    run(copy, *FLASK, "sync", "schema", "--output", str(app / "src" / "model"))
    ben = compiled(app, melon_sync, "ben")
    with serving_copy(copy) as server:
        melon = ben / "melon.js"
        melon.write_text(re.sub(r"http://127.0.0.1:[0-9]+", server.url, melon.read_text()))
        shutil.copytree(ben, app / "ada")
        said = json.loads(phone(ben, server.url, STORY).splitlines()[-1])
    assert said == [["Food", "Milk"], ["Bread", "From Food", "Oat milk"], ["Food", "Milk"]]
