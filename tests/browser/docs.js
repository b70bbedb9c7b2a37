// The API page as somebody uses it: registers, authorizes, pushes and pulls without leaving it.
import assert from 'node:assert/strict'
import { visiting } from './browser.js'

const origin = process.env.MELON_URL
const [width, height] = process.env.WINDOW.split('x').map(Number)
const TAGS = ['Accounts', 'User', 'Sync', 'Service', 'Spaces']

await visiting(origin, { width, height }, async (page, complaints) => {
  // What the browser itself says of an answer that was asked for.
  const refused = (status) => {
    const index = complaints.findIndex((text) => text.includes(`status of ${status}`))
    assert.notEqual(index, -1, `the browser saw no ${status}`)
    complaints.splice(index, 1)
  }

  // What is drawn anew loses a touch now and then: nothing was asked, and somebody would touch it again.
  const execute = async (button) => {
    for (let asked = false; !asked; ) {
      const request = page.waitForRequest((sent) => sent.url().includes('/api/v1/'), { timeout: 10_000 })
      const isSent = request.then(
        () => true,
        () => false,
      )
      await button.click()
      asked = await isSent
    }
  }

  // Opens a call, has it sent as the page proposes it (or with `edit(body)`), reads the answer.
  const tryOut = async (tag, id, edit) => {
    const block = page.locator(`#operations-${tag}-${id}`)
    if (!(await block.locator('.opblock-body').count())) {
      await block.locator('.opblock-summary-control').click()
      await block.locator('.try-out__btn').click()
    }
    if (edit) {
      const text = block.locator('textarea.body-param__text')
      await text.fill(JSON.stringify(edit(JSON.parse(await text.inputValue()))))
    }
    if (await block.locator('.btn-clear').count()) await block.locator('.btn-clear').click()
    await execute(block.locator('.execute'))
    const answer = block.locator('.live-responses-table .response')
    const status = Number(await answer.locator('.response-col_status').first().innerText())
    const code = answer.locator('.highlight-code code').first()
    const body = JSON.parse(await code.innerText())
    // What is open is drawn anew at every touch.
    if (id !== 'getMe') await block.locator('.opblock-summary-control').click()
    return { status, body }
  }

  const authorize = async (tokens) => {
    await page.locator('.auth-wrapper .authorize').first().click()
    const forms = page.locator('.auth-container')
    for (const [name, token] of Object.entries(tokens)) {
      const form = forms.filter({ hasText: name })
      const logout = form.locator('button', { hasText: 'Logout' })
      if (await logout.count()) await logout.click()
      await form.locator('input').fill(token)
      await form.locator('button', { hasText: 'Authorize' }).click()
    }
    await page.locator('.btn-done').first().click()
  }

  page.setDefaultTimeout(60_000) // of a busy machine
  await page.goto(`${origin}/docs`)
  await page.locator('.opblock').first().waitFor()
  const tags = await page.locator('.opblock-tag').evaluateAll((all) => all.map((t) => t.dataset.tag))
  assert.deepEqual(tags, TAGS)

  const stranger = await tryOut('User', 'getMe')
  assert.deepEqual([stranger.status, stranger.body.code], [401, 'token_missing'])
  refused(401)

  // The errors of a call are one line, until it is opened.
  const push = page.locator('#operations-Sync-push')
  await push.locator('.opblock-summary-control').click()
  const statuses = push.locator('tr.response .response-col_status')
  await statuses.first().waitFor()
  assert.deepEqual(await statuses.allInnerTexts(), ['200'])
  const errors = push.locator('details.errors')
  assert.match(await errors.locator('summary').innerText(), /^Errors: 400, 401, 403, .*503$/)
  if (process.env.PICTURES) await push.screenshot({ path: `${process.env.PICTURES}/docs-${width}.png` })
  await errors.locator('summary').click()
  await errors.getByText('sync_conflict').first().waitFor()
  await push.locator('.opblock-summary-control').click()

  const email = `ada.${Date.now()}@example.com`
  const registered = await tryOut('Accounts', 'register', (body) => ({ ...body, email }))
  assert.equal(registered.status, 201)
  await authorize({
    accessToken: registered.body.access_token,
    refreshToken: registered.body.refresh_token,
  })
  const me = await tryOut('User', 'getMe')
  assert.deepEqual([me.status, me.body.email], [200, email])

  const pushed = await tryOut('Sync', 'push')
  assert.equal(pushed.status, 200)
  const pulled = await tryOut('Sync', 'pull')
  assert.equal(pulled.status, 200)
  assert.equal(pulled.body.timestamp, pushed.body.timestamp)
  assert.deepEqual(
    pulled.body.changes.tasks.created.map((task) => task.title),
    ['Title'],
  )
  const byQuery = await tryOut('Sync', 'pullByQuery')
  assert.deepEqual(byQuery.body, pulled.body)

  const refreshed = await tryOut('Accounts', 'refresh')
  assert.equal(refreshed.status, 200)
  await authorize({ accessToken: refreshed.body.access_token })
  assert.equal((await tryOut('User', 'getMe')).status, 200)

  await authorize({ accessToken: process.env.EXPIRED })
  const late = await tryOut('User', 'getMe')
  assert.deepEqual([late.status, late.body.code], [401, 'token_expired'])
  refused(401)

  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it is too wide')
  assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie]), [0, ''])
})
console.log('the page works')
