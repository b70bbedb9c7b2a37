/** One request and its answer. Knows no tokens and repeats nothing. */

import { AbortError, ApiError, apiError, NetworkError, type Problem } from './errors.js'
import { ensureNotAborted } from './abort.js'

/** As much of `fetch` as is needed; the global one fits. */
export type Fetch = (
  url: string,
  init: {
    method: string
    headers: Record<string, string>
    body?: string | ArrayBuffer
    signal?: AbortSignal
  },
) => Promise<FetchAnswer>

export interface FetchAnswer {
  readonly ok: boolean
  readonly status: number
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
}

/** Packs a body with gzip. */
export type Gzip = (text: string) => Promise<ArrayBuffer | Uint8Array>

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  path: string
  /** Sent as JSON. */
  body?: unknown
  token?: string | undefined
  signal?: AbortSignal | undefined
  timeoutMs?: number | undefined
}

export interface HttpOptions {
  /** The API's root, with `/api/v1`. */
  root: string
  fetch: Fetch
  gzip: Gzip | undefined
  timeoutMs: number
}

/** Sends a request; what it answers is the body of a 2xx. Throws `ApiError`, `NetworkError`,
 * `AbortError`. */
export type Send = (request: HttpRequest) => Promise<string>

const GZIP_FROM = 1024 // characters; below, the packing gains nothing

export function httpSender(options: HttpOptions): Send {
  return async (request) => {
    ensureNotAborted(request.signal)
    const { headers, body } = await packed(request, options.gzip)
    const init = { method: request.method, headers, ...(body === undefined ? {} : { body }) }
    const timeoutMs = request.timeoutMs ?? options.timeoutMs
    return withinTime(timeoutMs, request.signal, async (signal) => {
      const answer = await options.fetch(options.root + request.path, { ...init, signal })
      const text = await answer.text()
      if (!answer.ok) throw apiError(answer.status, problemOf(answer, text))
      return text
    })
  }
}

async function packed({ body, token }: HttpRequest, gzip: Gzip | undefined) {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (token) headers['Authorization'] = `Bearer ${token}`
  if (body === undefined) return { headers, body: undefined }
  headers['Content-Type'] = 'application/json'
  const text = JSON.stringify(body)
  if (!gzip || text.length < GZIP_FROM) return { headers, body: text }
  headers['Content-Encoding'] = 'gzip'
  return { headers, body: wholeBuffer(await gzip(text)) }
}

function wholeBuffer(packed: ArrayBuffer | Uint8Array): ArrayBuffer {
  return packed instanceof Uint8Array ? new Uint8Array(packed).buffer : packed
}

/** `work`, or an error when the time is up or the caller has had enough: also where `fetch` does not
 * look at its signal. */
async function withinTime<T>(
  timeoutMs: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  let end: () => void = () => {}
  const ended = new Promise<never>((_, reject) => {
    const stop = (error: Error) => {
      reject(error)
      controller.abort()
    }
    const timer = setTimeout(() => stop(new NetworkError('timeout', 'No answer in time.')), timeoutMs)
    const abort = () => stop(new AbortError())
    outer?.addEventListener('abort', abort)
    end = () => {
      clearTimeout(timer)
      outer?.removeEventListener('abort', abort)
    }
  })
  try {
    return await Promise.race([work(controller.signal).catch(asNetworkError), ended])
  } finally {
    end()
  }
}

function asNetworkError(error: unknown): never {
  if (error instanceof ApiError) throw error
  throw new NetworkError('network_failed', 'The server could not be reached.', error)
}

/** The answer's problem, as far as it is one; a router's page is none. */
function problemOf(answer: FetchAnswer, text: string): Problem {
  const found = asObject(text)
  const { code, detail, errors, request_id: id } = found
  return {
    code: typeof code === 'string' ? code : `http_${answer.status}`,
    detail: typeof detail === 'string' ? detail : `The answer was ${answer.status}.`,
    errors: isObject(errors) ? errors : undefined,
    requestId: typeof id === 'string' ? id : (answer.headers.get('X-Request-ID') ?? undefined),
    retryAfter: secondsToWait(answer.headers.get('Retry-After'), Date.now()),
  }
}

/** `Retry-After` in seconds: it is a number of them, or a date (RFC 9110 §10.2.3). */
export function secondsToWait(header: string | null, nowMs: number): number | undefined {
  if (!header) return undefined
  if (/^\d+$/.test(header.trim())) return Number(header)
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, (at - nowMs) / 1000)
}

/** The JSON of an answer. Throws `NetworkError` for what is none: a hotel's sign-in page, say. */
export function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch {
    // told below
  }
  throw new NetworkError('bad_answer', 'Something else than the server answered.')
}

function asObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : {}
  } catch {
    return {} // not JSON: then it says nothing that we understand
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
