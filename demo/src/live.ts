// How a phone learns that another one pushed: melon-sync's ear (docs/live.md), with this demo's own sync.
import { listen, type Live, type LiveState } from 'melon-sync/core'
import { Refused, type Session } from './session'

const API = '/api/v1'
const ASK_MS = 3_000 // where it cannot listen

/** What the phone heard, or how it listens from now on. */
export type Told = 'news' | LiveState

/** `sync` throws what failed; `since` is the phone's clock, in ms; `tell` hears of each event. */
type Ear = {
  session: Session
  sync: () => Promise<void>
  since: () => Promise<number>
  tell: (told: Told) => void
}

/** Syncs at once and at news, until it is stopped. Throws what `fetch` does, before it begins. */
export async function listenFor({ session, sync, since, tell }: Ear): Promise<Live> {
  const root = await liveRoot()
  const token = () => session.token()
  const poll = async (from: number, signal: AbortSignal) => {
    const headers = { Accept: 'application/json', Authorization: `Bearer ${await token()}` }
    const answer = await fetch(`${root}/sync/live?since=${from}`, { headers, signal })
    const body = await answer.json()
    if (answer.status !== 200) throw new Refused({ status: answer.status, body, retryAfter: 0 })
    return body.news === true
  }
  let isToldOf = false
  const onState = (state: LiveState) => {
    isToldOf = true
    tell(state)
  }
  const hooks = {
    onNews: () => tell('news'),
    onState,
    // It begins as `asking`, and tells of changes alone. More of a failure says the sync itself.
    onError: () => isToldOf || onState('asking'),
    askEveryMs: ASK_MS,
  }
  return listen({ root, sync, since, token, poll }, hooks)
}

/** On this machine it has a port of its own; elsewhere a proxy has it at the server's address. */
async function liveRoot(): Promise<string> {
  const isHere = ['127.0.0.1', 'localhost'].includes(location.hostname)
  if (!isHere || location.protocol !== 'http:') return API
  const { port } = await (await fetch('/demo/live.json')).json()
  return `http://${location.hostname}:${port}${API}`
}
