// A visit of the demo's ways to sign in: node sign_in.js google | none.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { visiting } from './browser.js'
import { fits, isLegible } from './demo_checks.js'

const { MELON_URL, MELON_ISSUER, PICTURES } = process.env
const SIZES = { google: { width: 1400, height: 900, also: MELON_ISSUER }, none: { width: 390, height: 844 } }
const EMAIL = 'bo@example.com'

class Visitor {
  constructor(page) {
    this.page = page
    this.phone = page.getByRole('article', { name: 'Phone', exact: true })
  }

  button = (name) => this.page.getByRole('button', { name, exact: true })
  notice = () => this.phone.getByRole('status').textContent()
  titles = () => this.phone.locator('li.task .words').allInnerTexts()
  said = (name) => this.phone.locator(`[data-of=${name}]`).innerText()

  async rest(text) {
    await this.phone.getByRole('status').filter({ hasText: text }).waitFor()
    await this.page.locator('.phone[aria-busy=false]').waitFor()
    assert.equal(await this.phone.locator('.dot.on').count(), 0, 'all is on the server')
  }

  async begin() {
    await this.button('Begin without an account').click()
    await this.rest('A guest.')
    assert.deepEqual([await this.said('is_guest'), await this.said('email')], ['yes', 'none'])
  }

  async add(title) {
    await this.phone.getByPlaceholder('Add a task').fill(title)
    await this.button('Add').click()
    await this.phone.getByText(title, { exact: true }).waitFor()
    await this.page.locator('.phone[aria-busy=false]').waitFor()
  }

  /** To the provider, which asks who it is, and back. */
  async signIn(email) {
    await this.button('Sign in with Google').click()
    await this.page.getByRole('heading', { name: 'Who are you?' }).waitFor()
    await this.page.getByLabel('Address').fill(email)
    await this.button('Go on').click()
    await this.rest(`Signed in as ${email}.`)
    assert.equal(new URL(this.page.url()).search, '', 'the code is in no history')
  }

  async signOut() {
    await this.button('Sign out').click()
    await this.phone.getByText('There is no list here.').waitFor()
    await this.rest('Nobody is signed in.')
  }
}

const VISITS = {
  /** As a guest first; on a wide screen. */
  async google(visitor) {
    await visitor.begin()
    const guest = await visitor.said('id')
    await visitor.add('Tea')
    await visitor.signIn(EMAIL)
    assert.match(await visitor.notice(), /The guest’s list came along; the guest is no more\.$/)
    assert.deepEqual(await visitor.titles(), ['Milk', 'Tea'])
    assert.notEqual(await visitor.said('id'), guest)
    for (const [name, value] of Object.entries({ email: EMAIL, email_verified: 'yes', identities: 'google', is_guest: 'no' }))
      assert.equal(await visitor.said(name), value)
    await picture(visitor.page, 'signed-in')
    const id = await visitor.said('id')
    await visitor.page.reload()
    await visitor.rest(`${EMAIL} is signed in.`)
    await visitor.signOut()
    await visitor.signIn(EMAIL)
    assert.deepEqual([await visitor.said('id'), await visitor.titles()], [id, ['Milk', 'Tea']])
  },

  /** On a telephone, in the dark. */
  async none(visitor) {
    await visitor.page.emulateMedia({ colorScheme: 'dark' })
    assert.equal(await visitor.button('Sign in with Google').count(), 0)
    await visitor.page.getByText('make demo').waitFor()
    await visitor.begin()
    await visitor.add('Tea')
    await picture(visitor.page, 'guest')
    await fits(visitor.page, 44)
    await visitor.signOut()
  },
}

const name = process.argv[2]
await visiting(MELON_URL, SIZES[name], async (page, complaints) => {
  page.setDefaultTimeout(60_000) // of a busy machine
  await page.goto(`${MELON_URL}/demo/?live=off`)
  await page.locator('.phone:not([data-syncs="0"])').nth(1).waitFor() // it is left in peace
  await page.getByRole('link', { name: 'Ways to sign in' }).click()
  const visitor = new Visitor(page)
  await visitor.rest('Nobody is signed in.')
  await isLegible(page)
  await VISITS[name](visitor)
  await isLegible(page)
  // LokiJS's word when it makes a database anew; of itself it says that it is no failure
  const others = complaints.filter((text) => !text.includes('blocked by another connection'))
  complaints.splice(0, complaints.length, ...others)
})
console.log(`${name}: as a visitor wishes`)

async function picture(page, what) {
  await page.screenshot({ path: join(PICTURES, `${name}-${what}.png`) })
}
