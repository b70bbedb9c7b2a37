// A stock OpenID client's authorization code flow with PKCE, nonce and state against the local issuer; what it
// gets signs in at this server, as an app would.
import assert from 'node:assert/strict'
import * as client from 'openid-client'

const { MELON_URL, MELON_ISSUER } = process.env
const REDIRECT = 'http://127.0.0.1/back'
const EMAIL = `${client.randomState().slice(0, 12).toLowerCase().replace(/[^a-z0-9]/g, 'x')}@example.com`

const config = await client.discovery(new URL(MELON_ISSUER), 'app.melon', undefined, client.None(), {
  execute: [client.allowInsecureRequests], // http, on this machine
})

/** What the person's consent comes to: the library checks state, nonce, signature, audience. */
async function consent() {
  const verifier = client.randomPKCECodeVerifier()
  const [nonce, state] = [client.randomNonce(), client.randomState()]
  const asked = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT,
    scope: 'openid email',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    nonce,
    state,
    login_hint: EMAIL,
  })
  const back = await fetch(asked, { redirect: 'manual' })
  const checks = { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state, idTokenExpected: true }
  const tokens = await client.authorizationCodeGrant(config, new URL(back.headers.get('Location')), checks)
  assert.equal(tokens.claims().email, EMAIL)
  return { id_token: tokens.id_token, nonce }
}

async function ask(method, path, body, token) {
  const headers = { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) }
  const answer = await fetch(`${MELON_URL}/api/v1${path}`, { method, headers, body: JSON.stringify(body) })
  return { status: answer.status, body: answer.status === 204 ? null : await answer.json() }
}

const first = await ask('POST', '/auth/oidc/local', { ...(await consent()), name: 'Ada' })
assert.equal(first.status, 201, JSON.stringify(first.body))
assert.deepEqual([first.body.user.email, first.body.user.identities], [EMAIL, ['local']])
const again = await ask('POST', '/auth/oidc/local', await consent())
assert.deepEqual([again.status, again.body.user.id], [200, first.body.user.id])
const replayed = await ask('POST', '/auth/oidc/local', { ...(await consent()), nonce: client.randomNonce() })
assert.deepEqual([replayed.status, replayed.body.code], [401, 'invalid_credentials'])
const gone = await ask('DELETE', '/users/me', await consent(), again.body.access_token)
assert.equal(gone.status, 204, JSON.stringify(gone.body))
console.log('signed in by the stock flow')
