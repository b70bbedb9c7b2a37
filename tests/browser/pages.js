// The docs as somebody reads them: the contents, a link, an anchor, a picture, the search; in the light and in the dark.
import assert from 'node:assert/strict'
import { visiting } from './browser.js'

const origin = process.env.MELON_URL
const [width, height] = process.env.WINDOW.split('x').map(Number)
const isNarrow = width < 800

await visiting(origin, { width, height }, async (page) => {
  page.setDefaultTimeout(60_000) // of a busy machine
  const fits = async () => {
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    assert.ok(over <= 0, `${page.url()} is ${over} too wide`)
  }
  const picture = async (name) => {
    if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${name}-${width}.png` })
  }
  const heading = () => page.locator('h1').innerText()

  // From the API to the docs, and to a page by the contents.
  await page.goto(`${origin}/docs`)
  await page.locator('.opblock').first().waitFor()
  await page.getByRole('link', { name: 'Docs', exact: true }).click()
  assert.match(await heading(), /^Melon API/)
  await fits()
  if (isNarrow) await page.getByRole('link', { name: 'Contents' }).click()
  await page.locator('#contents').getByRole('link', { name: 'Sharing', exact: true }).click()
  assert.match(await heading(), /^Sharing/)
  assert.equal(await page.locator('[aria-current=page]').innerText(), 'Sharing')

  // What is wide scrolls by itself; pictures are as wide as the page at most.
  for (const name of ['sharing', 'settings', 'conflicts', 'architecture', 'quick-start', 'errors']) {
    await page.goto(`${origin}/docs/${name}`)
    await fits()
    for (const image of await page.locator('main img').all()) {
      const [shown, real] = await image.evaluate(async (img) => {
        await img.decode()
        return [img.getBoundingClientRect().width, img.naturalWidth]
      })
      assert.ok(real > 0 && shown > 250 && shown <= Math.min(width, real), `${name}: ${shown} of ${real}`)
    }
  }

  // A link from page to page, and the anchor that it names is in sight below the bar.
  await page.goto(`${origin}/docs/api`)
  await page.locator('main').getByRole('link', { name: 'sync_conflict' }).click()
  await page.waitForURL(`${origin}/docs/errors#sync_conflict`)
  const [top, bar] = await page.evaluate(() =>
    ['#sync_conflict', '.docs-bar'].map((name) => document.querySelector(name).getBoundingClientRect()),
  ).then(([one, other]) => [one.top, other.bottom])
  assert.ok(top >= bar && top < height, `the heading is at ${top}, the bar ends at ${bar}`)

  // The search, from the keyboard; on the API's page, too.
  for (const start of ['/docs/errors', '/docs']) {
    await page.goto(origin + start)
    await page.getByRole('searchbox').fill('right taken AWAY')
    const first = page.locator('.found a').first()
    await first.waitFor()
    assert.match(await first.innerText(), /^Sharing: A right is taken away/)
    await fits()
    await picture(`found${start.length}`)
    await page.keyboard.press('Escape')
    assert.equal(await page.locator('.found').isVisible(), false)
    await page.getByRole('searchbox').fill('nothing<b>of the kind')
    await page.getByText('Nothing is found.').waitFor()
    await page.getByRole('searchbox').fill('foreign_clock')
    await page.locator('.found a', { hasText: 'Errors, one by one: foreign_clock' }).click()
    await page.waitForURL(`${origin}/docs/errors#foreign_clock`)
  }

  // Text stands out from what is behind it, in both (WCAG 2.2, 1.4.3).
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    await page.goto(`${origin}/docs/sharing`)
    const contrasts = await page.evaluate(() => {
      const channels = (colour) => colour.match(/[\d.]+/g).map(Number)
      const light = (colour) => {
        const [r, g, b] = channels(colour).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
        return 0.2126 * r + 0.7152 * g + 0.0722 * b
      }
      const behind = (element) => {
        const colour = getComputedStyle(element).backgroundColor
        return channels(colour)[3] === 0 ? behind(element.parentElement) : colour
      }
      return ['main p', 'main p a', 'main code', 'main pre code', '#contents a', '.docs-bar a', '.docs-bar input'].map((name) => {
        const element = document.querySelector(name)
        const [dim, bright] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => a - b)
        return [name, (bright + 0.05) / (dim + 0.05)]
      })
    })
    for (const [name, contrast] of contrasts) assert.ok(contrast >= 4.5, `${colorScheme}: ${name} ${contrast}`)
    const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    assert.equal(paper === 'rgb(255, 255, 255)', colorScheme === 'light')
    await picture(colorScheme)
  }
  await page.goto(`${origin}/docs`)
  await page.locator('.opblock').first().waitFor()
  const isDark = await page.evaluate(() => document.documentElement.classList.contains('dark-mode'))
  assert.ok(isDark, "the API's page is light in the dark")
})
console.log('the docs can be read')
