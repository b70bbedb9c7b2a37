// The guides in docs/, for the tests that hold them to what they say.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const ROOT = join(HERE, '..', '..')

export const pageText = (path) => readFileSync(join(ROOT, path), 'utf8')

/** The block that the page calls `name`, as a module; `./sync` is docs/stock-client.md's. */
export async function snippet(path, name) {
  const folder = mkdtempSync(join(tmpdir(), 'melon-guide-'))
  symlinkSync(join(HERE, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'sync.mjs'), block('docs/stock-client.md', 'sync'))
  writeFileSync(join(folder, 'snippet.mjs'), block(path, name))
  try {
    return await import(pathToFileURL(join(folder, 'snippet.mjs')))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function block(path, name) {
  const found = pageText(path).match(new RegExp('```js ' + name + '\\n(.*?)```', 's'))
  assert.ok(found, `${path} has no block called ${name}`)
  return found[1]
    .replaceAll('http://127.0.0.1:8000', process.env.MELON_URL)
    .replaceAll("'./sync'", "'./sync.mjs'")
    // Node wants the file's name where an app's bundler finds it
    .replace(/'(@nozbe\/watermelondb\/[\w/]+)'/g, "'$1/index.js'")
    .replace("'@nozbe/watermelondb'", "'@nozbe/watermelondb/index.js'")
}

/**
 * The messages that a guide explains: the headings in code, `…` for what differs each time. Those of
 * the chapters that `wanted` takes are to be shown.
 */
export class Messages {
  seen = new Set()

  constructor(path, wanted) {
    const chapters = pageText(path).split(/^## /m).slice(1)
    this.all = chapters.flatMap(messagesOf)
    this.wanted = chapters.filter(wanted).flatMap(messagesOf)
    assert.ok(this.wanted.length)
  }

  /** Fails unless the page has this text, word for word, and once. */
  shows(text) {
    const found = this.all.filter((message) => pattern(message).test(text))
    assert.equal(found.length, 1, `${found.length} headings are: ${text}`)
    this.seen.add(found[0])
    return found[0]
  }

  /** Those of the wanted that nothing has shown. */
  get rest() {
    return this.wanted.filter((message) => !this.seen.has(message))
  }

  /** Fails unless `work` fails with one of them. */
  async throws(work) {
    await assert.rejects(work, (error) => this.shows(error.message) !== undefined)
  }
}

const messagesOf = (chapter) =>
  Array.from(chapter.matchAll(/^### (`+)(.*?)\1$/gm), ([, , message]) => message.trim())

/** A code is searched in the whole answer; anything else is all that is printed. */
function pattern(message) {
  const parts = message.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const text = parts.join('[^]+?')
  return new RegExp(message.startsWith('"code"') ? text : `^${text}$`)
}
