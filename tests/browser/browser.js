// One headless Chromium for a visit. The machine may have no network: nothing is fetched behind our back.
import { chromium } from 'playwright-core'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Whoever launches it closes it. */
export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS })

// Calls `visit(page)` in a window of this size. What the page logs as an error, throws, or asks of
// another host than `origin` (or `also`) fails the visit.
export async function visiting(origin, { width, height, also }, visit) {
  const browser = await launch()
  const complaints = []
  try {
    const context = await browser.newContext({ viewport: { width, height } })
    await context.route(
      (url) => ![origin, also].includes(url.origin) && url.protocol.startsWith('http'),
      (route) => {
        complaints.push(`asked another host: ${route.request().url()}`)
        return route.abort()
      },
    )
    const page = await context.newPage()
    page.on('pageerror', (error) => complaints.push(`threw: ${error.stack}`))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(`logged: ${message.text()}`)
    })
    try {
      await visit(page, complaints)
    } catch (error) {
      const shown = await page.locator('body').innerText({ timeout: 5_000 })
      throw new Error(`${complaints.join('\n')}\nthe page showed:\n${shown}`, { cause: error })
    }
  } finally {
    await browser.close()
  }
  if (complaints.length) throw new Error(`the page\n${complaints.join('\n')}`)
}
