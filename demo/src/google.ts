// Google's part of a sign-in, as a page of an app does it: an authorization code with PKCE (RFC 7636), state and
// nonce (OpenID Connect Core 1.0 §3.1). What checks the ID token is the server.
import type { Vouched } from 'melon-sync/core'

/** A provider that the server knows as `google`. */
export type Provider = { issuer: string; client_id: string }

/** What this tab has asked for, until the answer is here. */
type Asked = { state: string; nonce: string; verifier: string }

const ASKED = 'melon-demo-ways-asked'
const PAGE = location.origin + location.pathname

/** The one that is on this machine in Google's place; null where there is none. */
export async function localGoogle(): Promise<Provider | null> {
  const found = (await (await fetch('/demo/google.json')).json()) as Partial<Provider>
  const isHere = ['127.0.0.1', 'localhost', '[::1]'].includes(location.hostname)
  return found.issuer && isHere ? (found as Provider) : null
}

/** Go there, to come back to this page with a code. */
export async function leaveFor(provider: Provider): Promise<void> {
  const asked: Asked = { state: random(), nonce: random(), verifier: random() }
  sessionStorage.setItem(ASKED, JSON.stringify(asked))
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(asked.verifier))
  const query = {
    response_type: 'code',
    client_id: provider.client_id,
    redirect_uri: PAGE,
    scope: 'openid email',
    prompt: 'select_account',
    state: asked.state,
    nonce: asked.nonce,
    code_challenge: packed(new Uint8Array(digest)),
    code_challenge_method: 'S256',
  }
  const { authorization_endpoint } = await endpoints(provider)
  location.assign(`${authorization_endpoint}?${new URLSearchParams(query)}`)
}

/** What the provider gave, where this page was left for it; null where it was not. */
export async function broughtBack(provider: Provider | null): Promise<Vouched | null> {
  const said = new URLSearchParams(location.search)
  const asked = JSON.parse(sessionStorage.getItem(ASKED) ?? 'null') as Asked | null
  sessionStorage.removeItem(ASKED)
  history.replaceState(null, '', PAGE) // a code is used once
  const code = said.get('code')
  if (!code || !provider) return null
  if (said.get('state') !== asked?.state) throw new Error('This tab has not asked for that.')
  const form = {
    grant_type: 'authorization_code',
    client_id: provider.client_id,
    redirect_uri: PAGE,
    code,
    code_verifier: asked.verifier,
  }
  const { token_endpoint } = await endpoints(provider)
  const answer = await fetch(token_endpoint, { method: 'POST', body: new URLSearchParams(form) })
  if (!answer.ok) throw new Error(`The provider gave no token: ${answer.status}.`)
  const { id_token } = (await answer.json()) as { id_token: string }
  return { idToken: id_token, nonce: asked.nonce }
}

type Endpoints = { authorization_endpoint: string; token_endpoint: string }

async function endpoints({ issuer }: Provider): Promise<Endpoints> {
  return (await fetch(`${issuer}/.well-known/openid-configuration`)).json() as Promise<Endpoints>
}

const random = (): string => packed(crypto.getRandomValues(new Uint8Array(32)))

/** base64url (RFC 4648 §5). */
function packed(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes))
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}
