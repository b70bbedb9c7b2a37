/** `melon.live(database)`: syncs when the server says that there is news, while the app is looked at.
 *
 * It listens by the best means that there is: a stream that `fetch` reads piece by piece, an `EventSource` that takes
 * headers, else long polls. What is said there is that there is news, and no more: all else is a sync. While nobody
 * can be listened to, it syncs now and then, and says so.
 */

import { sleep } from './abort.js'
import { ApiError, isTokenProblem, NetworkError, SignedOutError } from './errors.js'
import { teller } from './events.js'
import { pause } from './retry.js'
import type { SyncResult } from './run.js'

/** `stream`, `poll`: it listens; `asking`: it cannot, and syncs now and then; `paused`: nobody looks at the app;
 * `stopped`: by the app, or as nobody is signed in. */
export type LiveState = 'asking' | 'stream' | 'poll' | 'paused' | 'stopped'

export interface LiveOptions<Result = SyncResult> {
  /** Where the live process is, without `/api/v1`, if not at the server's own address. */
  url?: string
  /** A `fetch` whose answers stream: `expo/fetch`, say. The global one, where it does. */
  fetch?: StreamingFetch
  /** An `EventSource` that takes headers: `react-native-sse`. */
  eventSource?: EventSourceWithHeaders
  /** React Native's `AppState`: it listens while the app is in the foreground. In a page, while it is visible. */
  appState?: AppStateLike
  /** How often it syncs while it cannot listen, in ms; 60,000. */
  askEveryMs?: number
  onState?: (state: LiveState) => void
  /** Told that the server says that there is news, before the sync that it causes. */
  onNews?: () => void
  /** Told of each sync that it made. */
  onSync?: (result: Result) => void
  /** Told of what failed; it goes on by itself. */
  onError?: (error: unknown) => void
}

export interface Live {
  readonly state: LiveState
  /** For good; `melon.live` begins anew. */
  stop(): void
}

export interface AppStateLike {
  currentState: string
  addEventListener(type: 'change', listener: (state: string) => void): { remove(): void }
}

export type StreamingFetch = (
  url: string,
  init: { headers: Record<string, string>; signal: AbortSignal },
) => Promise<StreamingAnswer>

interface StreamingAnswer {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: { getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> } } | null
}

export type EventSourceWithHeaders = new (
  url: string,
  options: { headers: Record<string, string>; pollingInterval: number },
) => {
  interval?: number
  addEventListener(type: string, listener: (event: unknown) => void): void
  close(): void
}

/** What a client lends, or an app with a sync of its own. `root` ends with `/api/v1`; `since` is the database's clock;
 * `token` a living one, another than the one that `failed`; `poll` one long poll: whether there is news. */
export interface LiveWork<Result = SyncResult> {
  root: string
  sync(): Promise<Result>
  since(): Promise<number>
  token(failed: string | undefined): Promise<string>
  poll(since: number, signal: AbortSignal): Promise<boolean>
}

const QUIET_MS = 45_000 // there is a comment every 25 s
const ASK_EVERY_MS = 60_000
const POLICY = { attempts: Infinity, baseMs: 1_000, maxMs: 60_000 }

/** As `melon.live`, for whoever syncs by other means. */
export function listen<Result>(work: LiveWork<Result>, options: LiveOptions<Result>): Live {
  return new Listening(work, options)
}

class Listening<Result> implements Live {
  state: LiveState = 'asking'
  private readonly tell: (state: LiveState) => void
  private readonly tellNews: (_: void) => void
  private readonly tellSync: (result: Result) => void
  private readonly tellError: (error: unknown) => void
  private controller: AbortController | undefined
  private readonly remove: () => void
  private syncing: Promise<void> | undefined
  private isDue = false
  private againMs = 1_000
  private failedToken: string | undefined

  constructor(
    private readonly work: LiveWork<Result>,
    private readonly options: LiveOptions<Result>,
  ) {
    this.tell = teller(options.onState)
    this.tellNews = teller(options.onNews)
    this.tellSync = teller(options.onSync)
    this.tellError = teller(options.onError)
    this.remove = watchForeground(options.appState, (isSeen) => this.look(isSeen))
  }

  stop(): void {
    this.remove()
    this.pause('stopped')
  }

  private look(isSeen: boolean): void {
    if (this.state === 'stopped' || isSeen === Boolean(this.controller)) return
    if (!isSeen) return this.pause('paused')
    const controller = new AbortController()
    this.controller = controller
    void this.run(controller.signal)
  }

  private pause(state: LiveState): void {
    this.controller?.abort()
    this.controller = undefined
    this.become(state)
  }

  private become(state: LiveState): void {
    if (this.state === state || this.state === 'stopped') return
    this.state = state
    this.tell(state)
  }

  private async run(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.syncNow()
        await this.once(signal, () => (failures = 0))
        await sleep(this.againMs * (1 + Math.random()), signal)
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof SignedOutError) return this.leave(error)
        this.tellError(error)
        this.become('asking')
        failures += 1
        await this.ask(pause(error, failures, { ...POLICY, maxMs: this.askEveryMs }), signal)
      }
    }
  }

  private get askEveryMs(): number {
    return this.options.askEveryMs ?? ASK_EVERY_MS
  }

  private leave(error: SignedOutError): void {
    this.tellError(error)
    this.stop()
  }

  private async ask(ms: number, signal: AbortSignal): Promise<void> {
    await sleep(ms, signal).catch(() => undefined)
  }

  /** Listens once, until that ends. */
  private async once(signal: AbortSignal, heard: () => void): Promise<void> {
    const { fetch = streamingFetch(), eventSource } = this.options
    if (!fetch && !eventSource) return this.poll(signal, heard)
    const token = await this.work.token(this.failedToken)
    this.failedToken = undefined
    const url = `${this.work.root}/sync/live?since=${await this.work.since()}`
    if (signal.aborted) return // nobody looks any more
    const headers = { Accept: 'text/event-stream', Authorization: `Bearer ${token}` }
    const begun = () => {
      heard()
      this.become('stream')
    }
    try {
      const reader = fetch ? byFetch(fetch, url, headers) : byEventSource(eventSource!, url, headers)
      await reader({ signal, begun, news: () => this.news(signal), again: (ms) => (this.againMs = ms) })
    } catch (error) {
      if (isTokenProblem(error)) this.failedToken = token
      throw error
    }
  }

  private async poll(signal: AbortSignal, heard: () => void): Promise<void> {
    while (!signal.aborted) {
      this.become('poll')
      const since = await this.work.since()
      if (signal.aborted) return // nobody looks any more
      const isNews = await this.work.poll(since, signal)
      heard()
      if (!isNews) continue
      this.tellNews()
      await this.syncNow()
    }
  }

  private news(signal: AbortSignal): void {
    this.tellNews()
    this.isDue = true
    this.syncing ??= this.syncWhileDue(signal).finally(() => {
      this.syncing = undefined
    })
  }

  /** A sync that has begun is finished, though the app goes to the background meanwhile. */
  private async syncNow(): Promise<void> {
    await this.syncing
    this.tellSync(await this.work.sync())
  }

  /** Many events are one sync, and those that come meanwhile one more; one that fails is made again. */
  private async syncWhileDue(signal: AbortSignal): Promise<void> {
    for (let failures = 0; this.isDue && !signal.aborted; ) {
      this.isDue = false
      try {
        this.tellSync(await this.work.sync())
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof SignedOutError) return this.leave(error)
        this.tellError(error)
        this.isDue = true
        failures += 1
        await this.ask(pause(error, failures, POLICY), signal)
      }
    }
  }
}

interface Ears {
  signal: AbortSignal
  begun(): void
  news(): void
  /** In how many ms to come again. */
  again(ms: number): void
}

type Reader = (ears: Ears) => Promise<void>

/** Throws what `fetch` does, `ApiError`, and `NetworkError` for a stream that has gone silent. */
function byFetch(fetch: StreamingFetch, url: string, headers: Record<string, string>): Reader {
  return async ({ signal, begun, news, again }) => {
    const silence = new Silence(signal)
    try {
      const answer = await silence.broken(fetch(url, { headers, signal: silence.signal }))
      if (answer.status !== 200 || !answer.body) throw problem(answer)
      begun()
      const reader = answer.body.getReader()
      const lines = new Lines(news, again)
      for (;;) {
        const { done, value } = await silence.broken(reader.read())
        if (done) return
        if (value) lines.take(value)
      }
    } finally {
      silence.end()
    }
  }
}

/** The same by `react-native-sse`. It comes again by itself when a stream has ended, with the same `since`, and has in
 * `interval` when; it shows no comments, but with each the server says that anew. */
function byEventSource(
  Source: EventSourceWithHeaders,
  url: string,
  headers: Record<string, string>,
): Reader {
  return async ({ signal, begun, news }) => {
    const source = new Source(url, { headers, pollingInterval: 0 }) // until the server says another one
    let said = source.interval ?? null
    let timer: ReturnType<typeof setInterval> | undefined
    let end = () => {}
    try {
      await new Promise<void>((resolve, reject) => {
        end = resolve
        signal.addEventListener('abort', end)
        timer = setInterval(() => {
          if (said === source.interval) reject(silent())
          said = source.interval ?? null
        }, QUIET_MS)
        source.addEventListener('open', begun)
        source.addEventListener('news', () => {
          said = null
          news()
        })
        source.addEventListener('error', (event) => {
          const { xhrStatus: status = 0 } = event as { xhrStatus?: number }
          reject(problem({ status, headers: { get: () => null } }))
        })
      })
    } finally {
      clearInterval(timer)
      signal.removeEventListener('abort', end)
      source.close()
    }
  }
}

function silent(): NetworkError {
  return new NetworkError('network_failed', 'The stream is silent.')
}

function problem({ status, headers }: Pick<StreamingAnswer, 'status' | 'headers'>): Error {
  const seconds = Number(headers.get('Retry-After')) || undefined
  const code = status === 401 ? 'token_expired' : `http_${status}`
  if (!status) return new NetworkError('network_failed', 'The stream broke.')
  const detail = `The answer was ${status}.`
  return new ApiError(status, { code, detail, errors: undefined, requestId: undefined, retryAfter: seconds })
}

/** Ends what says nothing for too long: the network may be gone without a word. */
class Silence {
  private readonly controller = new AbortController()
  private timer: ReturnType<typeof setTimeout> | undefined
  private readonly abort = () => this.controller.abort()

  constructor(private readonly outer: AbortSignal) {
    outer.addEventListener('abort', this.abort)
  }

  get signal(): AbortSignal {
    return this.controller.signal
  }

  broken<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const fail = () => {
        reject(silent())
        this.abort()
      }
      clearTimeout(this.timer)
      this.timer = setTimeout(fail, QUIET_MS)
      const broke = (error: unknown) => reject(new NetworkError('network_failed', 'The stream broke.', error))
      promise.then(resolve, broke)
    })
  }

  end(): void {
    clearTimeout(this.timer)
    this.outer.removeEventListener('abort', this.abort)
    this.abort()
  }
}

/** The few lines of an event stream that mean something here; they are ASCII. */
class Lines {
  private rest = ''

  constructor(
    private readonly news: () => void,
    private readonly again: (ms: number) => void,
  ) {}

  take(bytes: Uint8Array): void {
    let text = this.rest
    for (const byte of bytes) text += String.fromCharCode(byte)
    const lines = text.split('\n')
    this.rest = lines.pop()!.slice(-100)
    for (const line of lines) {
      if (line === 'event: news') this.news()
      const ms = /^retry: (\d{1,7})$/.exec(line)?.[1]
      if (ms) this.again(Number(ms))
    }
  }
}

/** React Native's own answers with no body, and only when all of it has come. */
function streamingFetch(): StreamingFetch | undefined {
  const streams = typeof Response === 'function' && 'body' in Response.prototype
  return streams ? (url, init) => fetch(url, init) : undefined
}

function watchForeground(appState: AppStateLike | undefined, look: (isSeen: boolean) => void): () => void {
  if (appState) {
    const subscription = appState.addEventListener('change', (state) => look(state === 'active'))
    // Not at once: who asked has nothing in hand yet to be stopped by.
    setTimeout(() => look(appState.currentState === 'active'))
    return () => subscription.remove()
  }
  const page = (globalThis as { document?: Document }).document
  const change = () => look(page?.visibilityState !== 'hidden')
  page?.addEventListener?.('visibilitychange', change)
  setTimeout(change)
  return () => page?.removeEventListener?.('visibilitychange', change)
}
