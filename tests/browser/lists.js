// A visit of examples/web, or of examples/expo, built for this origin: two phones are two windows that share nothing.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { launch } from './browser.js'

const ORIGIN = process.env.MELON_URL
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }
const browser = await launch()

const newPerson = () => ({ email: `${randomUUID()}@example.com`, password: 'correct-horse-battery' })

/** A window of its own, with the lists open. */
async function phone() {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } })
  await context.route(/\/(lists|_expo)\//, (route) => {
    const name = new URL(route.request().url()).pathname.replace('/lists/', '') || 'index.html'
    const body = readFileSync(join(process.env.LISTS, name))
    return route.fulfill({ body, contentType: TYPES[extname(name)] })
  })
  const page = await context.newPage()
  page.setDefaultTimeout(60_000) // of a busy machine
  page.on('pageerror', (error) => assert.fail(error))
  await page.goto(`${ORIGIN}/lists/`)
  return { context, page }
}

async function enter({ page }, { email, password }, how) {
  await page.getByPlaceholder('E-mail').fill(email)
  await page.getByPlaceholder('Password').fill(password)
  await page.getByRole('button', { name: how }).click()
}

async function add({ page }, hint, text) {
  await page.getByPlaceholder(hint).fill(text)
  await page.getByPlaceholder(hint).press('Enter')
  await page.getByText(text).first().waitFor()
}

const mark = ({ page }) => page.getByText('on this phone', { exact: true })

try {
  const [person, other] = [newPerson(), newPerson()]
  const a = await phone()
  await enter(a, { ...person, password: 'another password' }, 'Sign in')
  await a.page.getByText('do not belong together').waitFor()
  await enter(a, person, 'Make an account')
  await add(a, 'New list', 'Groceries')
  await add(a, 'Add to Groceries', 'Milk')
  await add(a, 'New list', 'Garden')
  await mark(a).waitFor({ state: 'detached' })

  // Whoever waits for a slow network is told of it.
  const b = await phone()
  let letGo
  const isThere = new Promise((resolve) => (letGo = resolve))
  await b.context.route('**/sync/pull', async (route) => {
    await isThere
    await route.continue()
  })
  await enter(b, person, 'Sign in')
  await b.page.getByRole('progressbar', { name: 'First sync' }).waitFor()
  letGo()
  await b.page.getByLabel('Milk').waitFor()
  await b.page.getByText('Garden', { exact: true }).waitFor()
  await b.page.getByRole('progressbar').waitFor({ state: 'detached' })

  const tab = await b.context.newPage()
  await tab.goto(`${ORIGIN}/lists/`)
  await tab.getByText('open in another tab').waitFor()
  await tab.close()

  // Offline, and loaded again: it is still there, and goes up when the network is back.
  await a.context.setOffline(true)
  await add(a, 'Add to Groceries', 'Bread')
  await a.page.getByText('Offline. What you write waits').waitFor()
  await mark(a).waitFor()
  await a.page.getByRole('button', { name: 'Sign out' }).click()
  await a.page.getByRole('alertdialog').getByText('would be lost').waitFor()
  await a.page.screenshot({ path: join(process.env.PICTURES, 'lists.png') })
  await a.page.getByRole('button', { name: 'Stay' }).click()
  await a.context.setOffline(false)
  await mark(a).waitFor({ state: 'detached' })
  await a.page.reload()
  await a.page.getByLabel('Bread').waitFor()

  // Somebody else on the same phone, and back.
  await a.page.getByRole('button', { name: 'Somebody else' }).click()
  await enter(a, other, 'Make an account')
  await add(a, 'New list', 'Tools')
  assert.equal(await a.page.getByText('Groceries').count(), 0)
  await a.page.getByRole('button', { name: `Go on as ${person.email}` }).click()
  await a.page.getByLabel('Milk').waitFor()
  assert.equal(await a.page.getByText('Tools').count(), 0)

  // Signed out, nothing is left.
  await a.page.getByRole('button', { name: `Sign out ${person.email}` }).click()
  await a.page.getByPlaceholder('Password').waitFor()
  assert.equal(await a.page.getByText(person.email).count(), 0)
  const fits = await a.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)
  assert.ok(fits, 'it is wider than the phone')
  console.log('the lists sync')
} finally {
  await browser.close()
}
