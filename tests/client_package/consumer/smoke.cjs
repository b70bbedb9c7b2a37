// The installed package by `require`: the same story as smoke.mjs.
const sync = require('melon-sync')

import('./story.mjs').then(async ({ story }) => {
  await story(sync, 'require')
  await story(require('melon-sync/core'), 'require core')
})
