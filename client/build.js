// dist/esm and dist/cjs from src, each with the package.json that tells Node which of the two it is.

import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const cwd = fileURLToPath(new URL('.', import.meta.url))
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
const KINDS = { esm: ['tsconfig.json', 'module'], cjs: ['tsconfig.cjs.json', 'commonjs'] }

rmSync(`${cwd}/dist`, { recursive: true, force: true })
for (const [kind, [project, type]] of Object.entries(KINDS)) {
  execFileSync(process.execPath, [tsc, '-p', project], { cwd, stdio: 'inherit' })
  writeFileSync(`${cwd}/dist/${kind}/package.json`, `${JSON.stringify({ type })}\n`)
}
