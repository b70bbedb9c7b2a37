// The demo as its visitor finds it: by what is written on it.
import assert from 'node:assert/strict'

export class PhoneOnPage {
  /** `key` names its database. */
  constructor(page, name, key) {
    this.page = page
    this.key = key
    this.column = page.getByRole('region', { name, exact: true })
    this.phone = this.column.locator('.phone')
  }

  button = (name) => this.column.getByRole('button', { name, exact: true })
  switch = (name) => this.column.getByRole('switch', { name, exact: true })
  title = (text) => this.column.getByLabel(`Title of ${text}`, { exact: true })
  note = (text) => this.column.getByLabel(`Note on ${text}`, { exact: true })
  row = (text) =>
    this.column
      .locator('li.task')
      .filter({ has: this.page.getByLabel(`Title of ${text}`, { exact: true }) })
  notice = () => this.phone.getByRole('status').textContent()
  syncs = async () => Number(await this.phone.getAttribute('data-syncs'))

  /** Press Sync, and wait for the end of it; what the phone says then. */
  async sync() {
    const before = await this.syncs()
    await this.button('Sync').click()
    return this.ended(before)
  }

  async ended(before) {
    await this.column.locator(`.phone[aria-busy=false]:not([data-syncs="${before}"])`).waitFor()
    return this.notice()
  }

  async turn(name, isOn) {
    const there = this.column.locator(`[role=switch][aria-checked=${isOn}]`, { hasText: name })
    if (!(await there.count())) await this.switch(name).click()
    await there.waitFor()
  }

  async rename(from, to) {
    await this.title(from).fill(to)
    await this.title(from).press('Enter')
    await this.title(to).waitFor()
  }

  async writeNote(title, text) {
    await this.note(title).fill(text)
    await this.note(title).press('Enter')
    await this.mark(title).waitFor()
  }

  async tick(title) {
    await this.row(title).getByRole('checkbox').click()
    await this.mark(title).waitFor()
  }

  async remove(title) {
    await this.button(`Delete ${title}`).click()
    await this.title(title).waitFor({ state: 'detached' })
  }

  async add(title) {
    await this.column.getByPlaceholder('Add a task').fill(title)
    await this.button('Add').click()
    await this.title(title).last().waitFor()
  }

  /** The dot of a task that the server has not seen. */
  mark = (title) => this.row(title).getByRole('img', { name: /^Not synced: / })

  /** What it shows of each task, from top to bottom. */
  tasks() {
    return this.column.locator('li.task').evaluateAll((rows) =>
      rows.map((row) => ({
        id: row.dataset.id,
        title: row.querySelector('.title').value,
        note: row.querySelector('.note').value,
        isDone: row.querySelector('[type=checkbox]').checked,
        isMarked: row.querySelector('.dot.on') !== null,
      })),
    )
  }

  /** Why the server did not take a task, by its title. */
  async refusals() {
    const found = await this.column.locator('li.task:has(.refusal)').evaluateAll((rows) =>
      rows.map((row) => [row.querySelector('.title').value, row.querySelector('.refusal').innerText]),
    )
    return Object.fromEntries(found)
  }

  /** What it heard by itself, and the syncs, the oldest first. */
  async log() {
    const lines = this.column.locator('.wire li')
    const found = await lines.evaluateAll((items) => items.map(({ dataset }) => dataset.told ?? dataset.path))
    return found.reverse()
  }

  /** Until it says that it listens so: `stream`, `poll`, `asking` … */
  listens = (how) => this.column.locator(`.listens[data-live=${how}]`).waitFor()

  /** Until what is stored is as wanted: LokiJS saves a moment after the edit. `waitForFunction` would
   * take a promise for a yes. */
  async isOnDisk(isWanted) {
    while (!isWanted(await this.page.evaluate(diskText, this.key)));
  }

  /** What it says of the wire, the oldest first. */
  async exchanges() {
    const lines = this.column.locator('.wire li[data-path]')
    const found = await lines.evaluateAll((items) =>
      items.map((item) => ({
        path: item.dataset.path,
        outcome: item.dataset.outcome,
        up: Number(item.querySelector('[data-up]').dataset.up),
        down: Number(item.querySelector('[data-down]').dataset.down),
        counts: item.querySelector('summary .counts')?.innerText.split(/\s+/).join(' '),
        clock: item.querySelector('.clock')?.innerText,
      })),
    )
    return found.reverse()
  }
}

/** In the page: all that is stored, as text. */
async function diskText(name) {
  const done = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
  const database = await done(indexedDB.open(name))
  const store = database.transaction('LokiIncrementalData').objectStore('LokiIncrementalData')
  const chunks = await done(store.getAll())
  database.close()
  return chunks.map(({ value }) => value).join('\n')
}

export class Demo {
  constructor(page, origin) {
    this.page = page
    this.url = `${origin}/demo/`
    this.a = new PhoneOnPage(page, 'Phone A', 'melon-demo-a')
    this.b = new PhoneOnPage(page, 'Phone B', 'melon-demo-b')
  }

  /** Open it, the stories at full speed, the phones not listening; back when the first syncs are over. */
  async visit(query = 'pace=0&live=off') {
    await this.page.goto(`${this.url}?${query}`)
    await this.a.ended(0)
    await this.b.ended(0)
  }

  /** A, B, A: until nothing is left to tell. What the phones say. */
  async syncBoth() {
    const said = []
    for (const phone of [this.a, this.b, this.a]) said.push(await phone.sync())
    for (const text of said) assert.match(text, /Synced/)
    return said
  }

  async bothOffline() {
    for (const phone of [this.a, this.b]) await phone.turn('Online', false)
  }

  async bothBack() {
    for (const phone of [this.a, this.b]) await phone.turn('Online', true)
    return this.syncBoth()
  }

  /** Both show the same, all of it known to the server; what they show. */
  async same() {
    const [left, right] = [await this.a.tasks(), await this.b.tasks()]
    assert.deepEqual(left, right)
    assert.deepEqual(
      left.filter(({ isMarked }) => isMarked),
      [],
    )
    assert.deepEqual(await this.page.locator('.state').allInnerTexts(), ['', ''])
    return left
  }

  titles = async () => (await this.same()).map(({ title }) => title)
}
