// The network between a phone and the real server: it passes everything on, and misbehaves when told to.

import { createServer, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const TARGET = new URL(process.env.MELON_URL)

/**
 * `on(path, ...acts)`: what happens to the next calls of a path, one act each; those that follow are passed
 * on. An act: `lose` (the server does its work, the answer is cut off), `cut` (nobody hears of the
 * call), `halve` (half of the answer arrives), `hang` (no answer ever), an answer of somebody on the way
 * ({status, headers, body, before}: what is awaited first), or a function that is awaited before the call is passed on; {late} is awaited
 * when the server has done its work; {alter} takes the JSON of its answer and gives what arrives, as JSON
 * or as text. `always(act)`: what happens to all calls without one, until `calm()`.
 * `calls` are those that arrived: {method, path, headers, body}.
 */
export class Network {
  calls = []
  #acts = new Map()
  #other

  static async open() {
    const network = new Network()
    await network.#listen()
    return network
  }

  on(path, ...acts) {
    this.#acts.set(path, acts)
  }

  always(act) {
    this.#other = act
  }

  /** From now on it behaves. */
  calm() {
    this.#acts.clear()
    this.#other = undefined
  }

  count(path) {
    return this.calls.filter((call) => call.path === path).length
  }

  last(path) {
    return this.calls.findLast((call) => call.path === path)
  }

  close() {
    this.server.closeAllConnections()
    this.server.close()
  }

  async #listen() {
    this.server = createServer((incoming, answer) => void this.#handle(incoming, answer))
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${this.server.address().port}`
  }

  async #handle(incoming, answer) {
    const path = incoming.url.replace('/api/v1', '')
    const queue = this.#acts.get(path)
    const act = queue?.length ? queue.shift() : this.#other
    const body = await whole(incoming)
    this.calls.push({ method: incoming.method, path, headers: incoming.headers, body })
    if (act === 'cut') return answer.destroy()
    if (act === 'hang') return undefined
    await act?.before?.()
    if (act?.status) return answer.writeHead(act.status, act.headers).end(act.body)
    if (typeof act === 'function') await act()
    if (act?.alter) delete incoming.headers['accept-encoding']
    const answered = await passOn(incoming, body)
    const { status, headers, text } = act?.alter ? altered(answered, act.alter) : answered
    await act?.late?.()
    if (act === 'lose') return answer.destroy()
    answer.writeHead(status, headers)
    if (act !== 'halve') return answer.end(text)
    answer.write(text.subarray(0, text.length / 2))
    await sleep(20)
    return answer.destroy()
  }
}

function passOn({ method, url, headers }, body) {
  return new Promise((resolve, reject) => {
    const { hostname: host, port } = TARGET
    const call = request({ host, port, method, path: url, headers, agent: false }, async (found) => {
      const text = await whole(found)
      const { 'transfer-encoding': _, ...kept } = found.headers
      const head = { ...kept, 'content-length': text.length }
      resolve({ status: found.statusCode, headers: found.statusCode === 204 ? kept : head, text })
    })
    call.on('error', reject)
    call.end(body)
  })
}

function altered({ status, headers, text }, alter) {
  const arrives = alter(JSON.parse(text))
  const changed = Buffer.from(typeof arrives === 'string' ? arrives : JSON.stringify(arrives))
  return { status, headers: { ...headers, 'content-length': changed.length }, text: changed }
}

async function whole(stream) {
  const parts = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}
