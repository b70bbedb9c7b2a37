// The installed package by `import`.
import * as sync from 'melon-sync'
import { story } from './story.mjs'

await story(sync, 'import')
await story(await import('melon-sync/core'), 'import core')
