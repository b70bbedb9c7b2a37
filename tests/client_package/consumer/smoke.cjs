// The installed package by `require`: the same story as smoke.mjs.
const sync = require('melon-sync')

import('./story.mjs').then(({ story }) => story(sync, 'require'))
