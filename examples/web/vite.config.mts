import { defineConfig } from 'vite'

export default defineConfig({
  base: './',
  // The server, as if it were of this origin; a build takes VITE_MELON_URL.
  server: { proxy: { '/api': 'http://127.0.0.1:8000' } },
})
