// The account: in and out, and what can be wrong with it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ApiError,
  EmailTakenError,
  ForbiddenError,
  InvalidCredentialsError,
  MelonError,
  NetworkError,
  RateLimitedError,
  ServerError,
  SignedOutError,
  ValidationError,
} from 'melon-sync'
import { assertFails, newPhone, PASSWORD, phones } from './support.js'

test('register, sign out, sign in: the same person on the same device', async () => {
  const phone = await newPhone({ deviceName: 'Ada’s phone' })
  const { client, network } = phone
  const user = await client.register({ ...phone.credentials, name: 'Ada' })
  assert.deepEqual([user.email, user.name], [phone.email, 'Ada'])
  assert.deepEqual(await client.user(), user)
  assert.deepEqual(await client.logout(), { serverTold: true })
  assert.equal(await client.user(), null)
  assert.equal((await client.login(phone.credentials)).id, user.id)
  const [first, second] = ['/auth/register', '/auth/login'].map((path) => JSON.parse(network.last(path).body))
  assert.match(first.device_id, /^[A-Za-z0-9_.-]{1,64}$/)
  assert.equal(second.device_id, first.device_id)
  assert.equal((await client.sessions())[0].device_name, 'Ada’s phone')
  assert.deepEqual(phone.eventTypes(), ['signed_in', 'signed_out', 'signed_in'])
})

test('what is wrong has a class, a code, a place and a request id', async () => {
  const [{ client, credentials }] = await phones(1)
  await assertFails(client.register(credentials), EmailTakenError, 'email_taken')
  const login = client.login({ ...credentials, password: 'wrong-horse-battery' })
  const error = await assertFails(login, InvalidCredentialsError, 'invalid_credentials')
  assert.equal(error.status, 401)
  assert.match(error.requestId, /\w/)
  assert.equal((await client.user()).email, credentials.email)
  const weak = await assertFails(
    client.register({ email: 'bob@example.com', password: '12345678' }),
    ValidationError,
    'validation_failed',
  )
  assert.ok('password' in weak.errors)
})

test('what nobody has heard of is an ApiError, not a crash', async () => {
  const [{ client, network }] = await phones(1)
  const problem = (status, code) => ({
    status,
    headers: { 'Content-Type': 'application/problem+json', 'Retry-After': 'soon' },
    body: JSON.stringify({ status, code, detail: 7, errors: 'none' }),
  })
  network.on('/users/me', problem(418, 'teapot'))
  const teapot = await assertFails(client.me(), ApiError, 'teapot')
  assert.deepEqual([teapot.status, teapot.errors, teapot.retryAfter], [418, {}, undefined])
  network.on('/users/me', problem(403, 'other'))
  await assertFails(client.me(), ForbiddenError, 'other')
  network.on('/users/me', { status: 404, headers: {}, body: '' })
  await assertFails(client.me(), ApiError, 'http_404')
  network.on('/users/me', ...Array(5).fill({ status: 200, headers: {}, body: '<html>Sign in to the hotel' }))
  await assertFails(client.me(), NetworkError, 'bad_answer')
})

test('signing out works offline; the server is told when it can be reached', async () => {
  const [phone] = await phones(1)
  const { access } = await phone.storedSession()
  phone.network.on('/auth/logout', 'cut')
  assert.deepEqual(await phone.client.logout(), { serverTold: false })
  assert.equal(await phone.storedSession(), null)
  await assertFails(phone.client.me(), SignedOutError, 'signed_out')
  assert.deepEqual(await phone.client.logout(), { serverTold: false })
  const headers = { Authorization: `Bearer ${access}` }
  assert.equal((await fetch(`${phone.network.url}/api/v1/users/me`, { headers })).status, 200)
})

test('a registration whose answer is lost is not repeated', async () => {
  const phone = await newPhone()
  phone.network.on('/auth/register', 'lose')
  await assertFails(phone.client.register(phone.credentials), NetworkError)
  assert.equal(phone.network.count('/auth/register'), 1)
  await phone.client.login(phone.credentials)
})

test('a sign-in that the server had no time for is repeated, one that is limited is not', async () => {
  const [phone] = await phones(1)
  const answer = (status, code, seconds) => ({
    status,
    headers: { 'Retry-After': seconds },
    body: JSON.stringify({ status, code }),
  })
  phone.network.on('/auth/login', answer(503, 'unavailable', '0'))
  await phone.client.login(phone.credentials)
  phone.network.on('/auth/login', answer(429, 'rate_limited', '7'))
  const error = await assertFails(phone.client.login(phone.credentials), RateLimitedError, 'rate_limited')
  assert.equal(error.retryAfter, 7)
  phone.network.on('/auth/login', answer(500, 'internal_error', '0'))
  await assertFails(phone.client.login(phone.credentials), ServerError, 'internal_error')
})

test('the profile, the password, the export', async () => {
  const [phone, tablet] = await phones(2)
  await phone.client.updateProfile({ name: 'Ada' })
  assert.equal((await phone.client.user()).name, 'Ada')
  assert.equal((await tablet.client.me()).name, 'Ada')
  const wrong = { current_password: 'wrong', new_password: 'another-horse-battery' }
  await assertFails(phone.client.changePassword(wrong), ValidationError)
  await phone.client.changePassword({ ...wrong, current_password: PASSWORD })
  await assertFails(tablet.client.me(), SignedOutError)
  const exported = JSON.parse(await phone.client.exportData())
  assert.equal(exported.user.email, phone.email)
  await phone.client.logoutAll()
  assert.equal(await phone.client.user(), null)
})

test('mails: forgotten passwords and addresses to confirm', async () => {
  const [{ client, email }] = await phones(1)
  await client.forgotPassword(email)
  await client.resendVerification()
  const reset = { token: 'not-one', new_password: 'another-horse-battery' }
  await assertFails(client.resetPassword(reset), ValidationError)
  await assertFails(client.verifyEmail('not-one'), ValidationError)
})

test('an account is deleted with all it has', async () => {
  const [phone] = await phones(1)
  await assertFails(phone.client.deleteAccount('wrong'), ValidationError)
  await phone.client.deleteAccount(PASSWORD)
  assert.equal(await phone.client.user(), null)
  await assertFails(phone.client.login(phone.credentials), InvalidCredentialsError)
})

test('all errors are MelonErrors', async () => {
  const phone = await newPhone()
  await assertFails(phone.client.me(), MelonError, 'signed_out')
})
