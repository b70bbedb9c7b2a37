/** One request and its answer. Knows no tokens and repeats nothing. */

import { ensureNotAborted, later } from './abort.js'
import {
  AbortError,
  ApiError,
  apiError,
  NetworkError,
  NotThisServerError,
  RedirectError,
  type Problem,
} from './errors.js'

/** As much of `fetch` as is needed; the global one fits. */
export type Fetch = (
  url: string,
  init: {
    method: string
    headers: Record<string, string>
    body?: string | ArrayBuffer
    redirect: 'manual'
    signal?: AbortSignal
  },
) => Promise<FetchAnswer>

export interface FetchAnswer {
  readonly status: number
  /** `opaqueredirect`: all that a browser tells of a redirect that it has not followed. */
  readonly type?: string
  /** Where it came from in the end, as far as the platform says. */
  readonly url?: string
  readonly redirected?: boolean
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
}

/** Packs a body with gzip. */
export type Gzip = (text: string) => Promise<ArrayBuffer | Uint8Array>

export type Expected = 200 | 201 | 202 | 204

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  path: string
  /** Sent as JSON. */
  body?: unknown
  /** The status of an answer, of those below 400, or one of several; 200. Another one is not the server's. */
  expects?: Expected | readonly Expected[]
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

/** Sends a request; what it answers is the body of what it expects. Throws `ApiError`, `NetworkError`,
 * `NotThisServerError`, `RedirectError`, `AbortError`. */
export type Send = (request: HttpRequest) => Promise<string>

const GZIP_FROM = 1024 // characters; below, the packing gains nothing

export function httpSender(options: HttpOptions): Send {
  let { gzip } = options
  return async (request) => {
    ensureNotAborted(request.signal)
    const { headers, body } = await packed(request, gzip)
    try {
      return await sent(options, request, headers, body)
    } catch (error) {
      const isPacked = typeof body === 'object'
      if (!isPacked || !(error instanceof ApiError) || error.status !== 400) throw error
    }
    // Android's React Native, or something on the way, spoils what is packed. Nothing was applied.
    const plain = await packed(request, undefined)
    const text = await sent(options, request, plain.headers, plain.body)
    gzip = undefined
    return text
  }
}

async function sent(
  options: HttpOptions,
  request: HttpRequest,
  headers: Record<string, string>,
  body: string | ArrayBuffer | undefined,
): Promise<string> {
  const { method, expects = 200 } = request
  const redirect = 'manual' as const // with `error` a browser would not say what was wrong
  const init = { method, headers, redirect, ...(body === undefined ? {} : { body }) }
  const timeoutMs = request.timeoutMs ?? options.timeoutMs
  return withinTime(timeoutMs, request.signal, async (signal) => {
    const answer = await options.fetch(options.root + request.path, { ...init, signal })
    const text = await answer.text()
    if (isElsewhere(answer, { root: options.root, path: request.path })) throw new RedirectError()
    if (answer.status >= 400) throw apiError(answer.status, problemOf(answer, text))
    if (![expects].flat().includes(answer.status as Expected)) throw new NotThisServerError('bad_answer', 'status')
    return text
  })
}

/** React Native follows a redirect whatever we say: then what came back is not believed. */
function isElsewhere(answer: FetchAnswer, { root, path }: { root: string; path: string }): boolean {
  const { status, type, url, redirected } = answer
  if (redirected || type === 'opaqueredirect' || (status >= 300 && status < 400)) return true
  if (!url || !/^https?:/i.test(root)) return false
  const isAscii = /^[!-~]*$/.test(root) // else a platform writes the host in another way than the app
  const asked = path.replace(/\?.*/, '')
  return !url.replace(/[?#].*/, '').endsWith(asked) || (isAscii && originOf(url) !== originOf(root))
}

function originOf(url: string): string {
  return (/^https?:\/\/[^/?#]*/i.exec(url)?.[0] ?? '').toLowerCase().replace(/:(80|443)$/, '')
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
    const timer = later(() => stop(new NetworkError('timeout', 'No answer in time.')), timeoutMs)
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
  if (error instanceof ApiError || error instanceof NetworkError) throw error
  throw new NetworkError('network_failed', 'The server could not be reached.', error)
}

/** The answer's problem, as far as it is one: a router's page is none, nor is another API's JSON. */
function problemOf(answer: FetchAnswer, text: string): Problem {
  const { status, code, detail, errors, request_id: id } = asObject(text)
  return {
    code: typeof code === 'string' && status === answer.status ? code : `http_${answer.status}`,
    detail: typeof detail === 'string' ? detail : `The answer was ${answer.status}.`,
    errors: isObject(errors) ? errors : undefined,
    requestId: typeof id === 'string' ? id : (answer.headers.get('X-Request-ID') ?? undefined),
    retryAfter: secondsToWait(answer.headers.get('Retry-After'), sentAt(answer)),
  }
}

/** By the clock of who sent it, where it is told; this device's may be wrong. */
function sentAt({ headers }: FetchAnswer): number {
  return Date.parse(headers.get('Date') ?? '') || Date.now()
}

/** `Retry-After` in seconds: it is a number of them, or a date (RFC 9110 §10.2.3). */
export function secondsToWait(header: string | null, nowMs: number): number | undefined {
  if (!header) return undefined
  if (/^\d+$/.test(header.trim())) return Number(header)
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, (at - nowMs) / 1000)
}

/** The JSON of an answer. Throws `NotThisServerError` for what is none: a hotel's sign-in page, say. */
export function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch {
    // told below
  }
  throw new NotThisServerError('bad_answer', 'body')
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
