// The printed files (APP) as React Native's Babel makes JavaScript of them (OUT).

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { transformFileSync } from '@babel/core'

const options = {
  configFile: false,
  presets: ['@babel/preset-typescript'],
  plugins: [
    ['@babel/plugin-proposal-decorators', { legacy: true }],
    '@babel/plugin-transform-class-properties',
    '@babel/plugin-transform-modules-commonjs',
  ],
}
const { APP, OUT } = process.env
for (const name of readdirSync(APP, { recursive: true }).filter((one) => one.endsWith('.ts'))) {
  const target = join(OUT, name.replace(/ts$/, 'js'))
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, transformFileSync(join(APP, name), options).code)
}
console.log('transformed')
