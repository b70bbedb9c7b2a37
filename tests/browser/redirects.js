// melon-sync's requests in a real Chromium: what it tells of a redirect.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { launch } from './browser.js'

const MODULES = new URL('../../client/dist/esm/', import.meta.url)
const seen = [] // what came to where a redirect leads

async function serve(handle) {
  const server = createServer((incoming, answer) => void handle(incoming, answer))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, origin: `http://127.0.0.1:${server.address().port}` }
}

const hotel = await serve(({ url }, answer) => {
  seen.push(url)
  answer.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end('{}')
})
const away = { Location: `${hotel.origin}/welcome` }
const CORS = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': '*' }

/** An API of another origin than the page: its redirects allow the page to see them, or not. */
const api = await serve(({ method, url }, answer) => {
  if (method === 'OPTIONS') answer.writeHead(204, CORS).end()
  else answer.writeHead(307, url.endsWith('/mute') ? away : { ...away, ...CORS }).end()
})

const pages = await serve(async ({ url }, answer) => {
  if (url.startsWith('/api/')) return answer.writeHead(302, away).end()
  if (url === '/') return answer.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>app</title>')
  if (!url.endsWith('.js')) return answer.writeHead(404).end() // Chromium asks for an icon
  const text = await readFile(new URL(`.${url}`, MODULES))
  return answer.writeHead(200, { 'Content-Type': 'text/javascript' }).end(text)
})

/** The error of a call, in the page. */
async function failing({ origin, path }) {
  const { httpSender } = await import('/http.js')
  const fetcher = (url, init) => fetch(url, init)
  const send = httpSender({ root: `${origin}/api/v1`, fetch: fetcher, gzip: undefined, timeoutMs: 30_000 })
  try {
    return await send({ method: 'POST', path, body: { password: 'secret' } })
  } catch (error) {
    return `${error.name} ${error.code}`
  }
}

const browser = await launch()
try {
  const page = await browser.newPage()
  await page.goto(pages.origin)
  assert.equal(await page.evaluate(failing, { origin: pages.origin, path: '/sync/push' }), 'RedirectError redirected')
  assert.equal(await page.evaluate(failing, { origin: api.origin, path: '/open' }), 'RedirectError redirected')
  assert.equal(await page.evaluate(failing, { origin: api.origin, path: '/mute' }), 'NetworkError network_failed')
  assert.deepEqual(seen, [])
} finally {
  await browser.close()
  for (const { server } of [hotel, api, pages]) server.close()
}
console.log('as the README says')
