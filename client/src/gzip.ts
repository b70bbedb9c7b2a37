/** gzip where the platform has it: browsers and Node do, Hermes does not. */

import type { Gzip } from './http.js'

/** The platform's gzip, or undefined. */
export function platformGzip(): Gzip | undefined {
  const hasAll = [typeof CompressionStream, typeof Blob, typeof Response].every(
    (type) => type === 'function',
  )
  return hasAll ? compress : undefined
}

function compress(text: string): Promise<ArrayBuffer> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))
  return new Response(stream).arrayBuffer()
}
