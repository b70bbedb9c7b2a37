// Search in the docs: every word is looked for in every section, in this browser.
const MOST = 20
const AROUND = 60
const input = document.querySelector('.docs-bar input')
const list = document.querySelector('.docs-bar .found')
let loading

const load = async () => {
  const answer = await fetch('/docs/search.json')
  if (!answer.ok) throw new Error(`search.json: ${answer.status}`)
  const found = await answer.json()
  for (const section of found) {
    section.head = `${section.title} ${section.heading}`.toLowerCase()
    section.whole = `${section.head} ${section.text.toLowerCase()}`
  }
  return found
}

// Words in a heading first, then where they stand early.
const find = (sections, words) =>
  sections
    .filter(({ whole }) => words.every((word) => whole.includes(word)))
    .map((section) => ({ section, hits: words.filter((word) => section.head.includes(word)).length }))
    .sort((a, b) => b.hits - a.hits)
    .slice(0, MOST)
    .map(({ section }) => section)

const excerpt = (text, words) => {
  const at = words.map((word) => text.toLowerCase().indexOf(word)).filter((place) => place >= 0)
  const from = Math.max(0, Math.min(...at, text.length) - AROUND)
  const piece = text.slice(at.length ? from : 0, (at.length ? from : 0) + 3 * AROUND)
  return `${from && at.length ? '…' : ''}${piece}…`
}

const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text, ...more })

const item = ({ page, title, heading, anchor, text }, words) => {
  const link = make('a', heading === title ? title : `${title}: ${heading}`, { href: `/docs/${page}#${anchor}` })
  link.append(make('small', excerpt(text, words)))
  const row = make('li', '')
  row.append(link)
  return row
}

// Fetched by the first touch, once; a server that was away is asked again at the next one.
const show = async () => {
  loading ??= load().catch((error) => {
    loading = undefined
    throw error
  })
  const sections = await loading
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean) // those of now: more may have been typed
  const found = words.length ? find(sections, words) : []
  const rows = found.map((section) => item(section, words))
  list.replaceChildren(...(rows.length || !words.length ? rows : [make('li', 'Nothing is found.')]))
  list.hidden = !words.length
}

const hide = () => {
  list.hidden = true
}

input.addEventListener('input', show)
input.addEventListener('focus', show)
document.addEventListener('keydown', ({ key }) => key === 'Escape' && hide())
document.addEventListener('click', ({ target }) => {
  if (target.closest('a') || !target.closest('.search')) hide()
})
