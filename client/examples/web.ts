// The tokens in a browser. Any script of the page can read them there: keep the page free of others'.

import type { MelonStorage } from 'melon-sync'

export const webStorage: MelonStorage = {
  get: (key) => localStorage.getItem(key),
  set: (key, value) => localStorage.setItem(key, value),
  remove: (key) => localStorage.removeItem(key),
}
