// What must be true of the demo whatever is done there.
import assert from 'node:assert/strict'

const API = '/api/v1'

/** Notes what Chromium saw on the wire from now on, for `figuresAreTrue`. */
export function watching(page) {
  const seen = []
  page.on('requestfinished', (request) => {
    if (new URL(request.url()).pathname.startsWith(API)) seen.push(request)
  })
  return seen
}

async function measured(request) {
  const path = new URL(request.url()).pathname.slice(API.length)
  const response = await request.response()
  const { requestBodySize, responseBodySize } = await request.sizes()
  const [sent, received] = [request.postDataJSON(), await response.json()]
  const isSync = path.startsWith('/sync/')
  return {
    path,
    outcome: String(response.status()),
    up: requestBodySize,
    down: responseBodySize,
    counts: isSync ? summed(received.changes ?? sent.changes) : undefined,
    clock: isSync
      ? `clock ${sent.lastPulledAt ?? 'none'} → ${received.timestamp ?? 'none'}`
      : undefined,
  }
}

function summed(changes) {
  const tables = Object.values(changes)
  const sum = (kind) => tables.reduce((count, table) => count + table[kind].length, 0)
  return ['created', 'updated', 'deleted'].map((kind) => `${kind} ${sum(kind)}`).join(' ')
}

/** The wire's lines of both phones are what was seen, byte for byte; no idle pulls in a row. */
export async function figuresAreTrue(demo, seen) {
  const shown = [...(await demo.a.exchanges()), ...(await demo.b.exchanges())]
  const known = await Promise.all(seen.map(measured))
  assert.ok(known.length >= 5)
  assert.deepEqual(sorted(shown), sorted(known))
}

const sorted = (lines) => lines.map((line) => JSON.stringify(line)).sort()

/** Nothing sticks out of the page, and on a telephone a finger meets what it aims at. */
export async function fits(page, targetPixels) {
  const [needed, there] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ])
  assert.ok(needed <= there, `${needed} px in ${there}`)
  const small = await page
    .locator('button, summary, label.tick, li.task input.title, .add input')
    .evaluateAll(
      (parts, least) =>
        parts
          .map((part) => [part.textContent || part.ariaLabel, part.getBoundingClientRect()])
          .filter(([, { width, height }]) => width && Math.min(width, height) < least)
          .map(([name, { width, height }]) => `${name}: ${width} × ${height}`),
      targetPixels,
    )
  assert.deepEqual(small, [])
}

/** Every text has the contrast of WCAG 2 AA (1.4.3) to what it stands on. */
export async function isLegible(page) {
  assert.deepEqual(await page.evaluate(faint), [])
}

/** In the page: the texts below 4.5:1, with their contrast. */
function faint() {
  const rgb = (color) => color.match(/[\d.]+/g).map(Number)
  const light = (color) => {
    const [r, g, b] = rgb(color)
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ground = (element) => {
    const color = getComputedStyle(element).backgroundColor
    return rgb(color)[3] === 0 && element.parentElement ? ground(element.parentElement) : color
  }
  const contrast = (element) => {
    const both = [light(getComputedStyle(element).color), light(ground(element))]
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05)
  }
  const hasText = (element) =>
    element.value || [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.checkVisibility() && !element.disabled && hasText(element))
    .map((element) => [element.textContent || element.value, contrast(element)])
    .filter(([, ratio]) => ratio < 4.5)
    .map(([text, ratio]) => `${text}: ${ratio.toFixed(2)}`)
}
