// Guests, providers and codes: who begins without an account, and what becomes of a guest's records.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { ApiError, EmailTakenError, ForbiddenError, IdentityTakenError, InvalidCredentialsError } from 'melon-sync'
import { OtherAccountError, SignedOutError, ValidationError } from 'melon-sync'
import { assertConverged, assertFails, newPhone, PASSWORD, phones } from './support.js'

const ISSUER = process.env.MELON_ISSUER

/** What the local issuer gives somebody who has consented. */
async function vouched(email, nonce = randomUUID()) {
  const redirect_uri = 'http://127.0.0.1/back'
  const asked = new URLSearchParams({ redirect_uri, nonce, login_hint: email })
  const back = await fetch(`${ISSUER}/authorize?${asked}`, { redirect: 'manual' })
  const code = new URL(back.headers.get('Location')).searchParams.get('code')
  const body = new URLSearchParams({ code, client_id: 'app.melon', redirect_uri })
  const answer = await (await fetch(`${ISSUER}/token`, { method: 'POST', body })).json()
  return { idToken: answer.id_token, nonce }
}

async function guestWith(name) {
  const phone = await newPhone()
  const user = await phone.client.guest()
  const id = await phone.create('projects', { name, updated_at: 5 })
  await phone.sync()
  return { phone, user, id }
}

/** Whether the server has this account still. */
async function lives(phone, { access }) {
  const headers = { Authorization: `Bearer ${access}` }
  return (await fetch(`${phone.network.url}/api/v1/users/me`, { headers })).status === 200
}

test('a guest syncs at once, and becomes somebody', async () => {
  const { phone, user, id } = await guestWith('Home')
  assert.deepEqual([user.email, user.is_guest, user.identities], [null, true, []])
  assert.deepEqual(await phone.client.guest({ name: 'again' }), user, 'it is one already')
  const [other] = await phones(1)
  await assertFails(phone.client.upgrade({ email: other.email }), EmailTakenError)
  await assertFails(phone.client.upgrade({ email: 'no', password: 'x' }), ValidationError)
  const upgraded = await phone.client.upgrade(phone.credentials)
  assert.deepEqual([upgraded.id, upgraded.email, upgraded.has_password], [user.id, phone.email, true])
  assert.deepEqual(await phone.client.user(), upgraded)
  await assertFails(phone.client.upgrade(phone.credentials), ForbiddenError, 'forbidden')
  assert.ok((await assertConverged(phone)).projects[id])
})

test('a guest who links an identity is none any more', async () => {
  const { phone, user, id } = await guestWith('Home')
  const email = `${randomUUID()}@example.com`
  const linked = await phone.client.linkIdentity('google', await vouched(email))
  assert.deepEqual([linked.id, linked.is_guest, linked.identities], [user.id, false, ['google']])
  const tablet = await newPhone()
  assert.equal((await tablet.client.signInWith('google', await vouched(email))).id, user.id)
  await tablet.sync()
  assert.ok((await tablet.records()).projects[id])
  const stranger = await newPhone()
  await stranger.client.guest()
  await assertFails(stranger.client.linkIdentity('google', await vouched(email)), IdentityTakenError, 'identity_taken')
})

test('sign in with a provider: new, again, and with what is wrong', async () => {
  const [phone, tablet] = [await newPhone(), await newPhone()]
  const email = `${randomUUID()}@example.com`
  const user = await phone.client.signInWith('google', { ...(await vouched(email)), name: 'Ada' })
  assert.deepEqual([user.email, user.name, user.email_verified], [email, 'Ada', true])
  assert.deepEqual(await tablet.client.signInWith('google', await vouched(email)), user)
  const other = { ...(await vouched(email)), nonce: 'another' }
  await assertFails(tablet.client.signInWith('google', other), InvalidCredentialsError, 'invalid_credentials')
  await assertFails(tablet.client.signInWith('nobody', await vouched(email)), ApiError, 'not_found')
  assert.equal((await tablet.client.user()).id, user.id)
})

test('where there is no password, an ID token proves whose account it is', async () => {
  const phone = await newPhone()
  const email = `${randomUUID()}@example.com`
  await phone.client.signInWith('google', await vouched(email))
  await assertFails(phone.client.deleteAccount(), ValidationError)
  await assertFails(phone.client.deleteAccount({ code: '123456' }), ValidationError)
  const { idToken: id_token, nonce } = await vouched(email)
  await phone.client.changePassword({ new_password: PASSWORD, id_token, nonce })
  assert.equal((await phone.client.me()).has_password, true)
  await phone.client.unlinkIdentity('google')
  await phone.client.deleteAccount(PASSWORD)
  assert.equal(await phone.client.user(), null)
  const again = await newPhone()
  await again.client.signInWith('google', await vouched(`${randomUUID()}@example.com`, 'n'))
})

test('a guest is deleted by its session alone', async () => {
  const phone = await newPhone()
  await phone.client.guest()
  await phone.client.deleteAccount()
  assert.equal(await phone.client.user(), null)
})

test('codes: one is asked for, and a wrong one is told', async () => {
  const { client, email } = await newPhone()
  await client.requestCode(email)
  await assertFails(client.signInWithCode({ email, code: '000000' }), InvalidCredentialsError)
  await assertFails(client.requestCode('no'), ValidationError)
})

// --- A guest signs in to an account that is there already ---------------------------------------

for (const [way, enter] of [
  ['a provider', async (phone, email) => phone.client.signInWith('google', await vouched(email))],
  ['a password', async (phone, email) => phone.client.login({ email, password: PASSWORD })],
]) {
  test(`by ${way}: the records go along, the guest’s account goes`, async () => {
    const [other] = await phones(1)
    const theirs = await other.create('projects', { name: 'Theirs' })
    await other.sync()
    const { phone, id } = await guestWith('The guest’s')
    const former = await phone.storedSession()
    const late = await phone.create('projects', { name: 'Not yet synced' })
    if (way === 'a provider') await other.client.linkIdentity('google', await vouched(other.email))
    const user = await enter(phone, other.email)
    assert.equal(user.email, other.email)
    assert.ok(await lives(phone, former), 'nothing is lost before it is synced')
    const { resent } = await phone.sync()
    assert.equal(resent, 1)
    assert.equal(await lives(phone, former), false)
    if (way === 'a provider') return // the first proof has signed the other phone out
    const { projects } = await assertConverged(other, phone)
    assert.deepEqual(Object.keys(projects).sort(), [id, late, theirs].sort())
  })
}

test('of equal ids the newer one counts, as wherever a database is adopted', async () => {
  const [other] = await phones(1)
  const { phone, id } = await guestWith('The guest’s')
  const same = { name: 'The account’s', updated_at: 9 }
  await other.database.write(() =>
    other.database.get('projects').create((made) => {
      made._raw.id = id
      for (const [column, value] of Object.entries(same)) made._setRaw(column, value)
    }),
  )
  await other.sync()
  await phone.client.login(other.credentials)
  await phone.sync()
  assert.equal((await assertConverged(other, phone)).projects[id].name, 'The account’s')
})

test('cut off anywhere, the next sync goes on, and the guest goes last', async () => {
  const [other] = await phones(1, { retry: { attempts: 1 } })
  const { phone, id } = await guestWith('The guest’s')
  const former = await phone.storedSession()
  phone.client = phone.newClient({ storage: phone.storage, retry: { attempts: 1 } })
  await phone.client.login(other.credentials)
  phone.network.on('/sync/pull', 'cut')
  await phone.sync().then(assert.fail, () => {})
  phone.network.on('/sync/push', 'lose')
  await phone.sync().then(assert.fail, () => {})
  assert.ok(await lives(phone, former))
  phone.network.on('/users/me', 'cut')
  await phone.sync() // it is synced; that the guest could not be deleted is no failure of it
  assert.ok(await lives(phone, former))
  await phone.sync()
  assert.equal(await lives(phone, former), false)
  assert.ok((await assertConverged(other, phone)).projects[id])
})

test('a guest who never synced leaves nothing behind', async () => {
  const [other] = await phones(1)
  const phone = await newPhone()
  await phone.client.guest()
  const former = await phone.storedSession()
  const id = await phone.create('projects', { name: 'Before the first sync' })
  await phone.client.login(other.credentials)
  await phone.sync()
  assert.equal(await lives(phone, former), false)
  assert.ok((await assertConverged(other, phone)).projects[id])
})

test('a database that was reset before is not what the guest had: its account stays', async () => {
  const [other] = await phones(1)
  const { phone } = await guestWith('The guest’s')
  const former = await phone.storedSession()
  await phone.client.login(other.credentials)
  await phone.reset()
  await phone.sync()
  assert.ok(await lives(phone, former))
})

test('another person’s database is no guest’s', async () => {
  const [one] = await phones(1)
  await one.create('projects', { name: 'Hers' })
  await one.sync()
  const [two] = await phones(1)
  await one.client.login(two.credentials)
  await assertFails(one.sync(), OtherAccountError, 'other_account')
  const { phone } = await guestWith('The guest’s')
  await phone.client.login(two.credentials)
  const [three] = await phones(1)
  await phone.client.login(three.credentials) // who is not the one whom the guest became
  await assertFails(phone.sync(), OtherAccountError, 'other_account')
  await phone.client.logout()
  await assertFails(phone.sync(), SignedOutError)
})
